/*
 * What the system calls that change the layout share; mmap_lock of @mm is held for writing.
 */
#pragma once

#include "mm/mm.h"

/* Where mmap and mremap look for a place. */
#define MMAP_CEILING 0x00007f0000000000UL
#define MMAP_FLOOR 0x10000UL

void mm_insert_vma(struct mm *mm, struct vma *v);
void mm_remove_vma(struct mm *mm, struct vma *v);
/* Let VMA borders fall on @start and @end. -ENOMEM: nothing observable has changed. */
int split_around(struct mm *mm, unsigned long start, unsigned long end);
/* Join VMAs in and next to [start, end] that continue each other. */
void merge_around(struct mm *mm, unsigned long start, unsigned long end);
/*
 * Unmap whatever lies in [start, end). With @downgrade and success mmap_lock is held for reading on
 * return. -ENOMEM: nothing has changed.
 */
int unmap_range_locked(struct mm *mm, unsigned long start, unsigned long end, bool downgrade);
/* Page-aligned, not empty, within the user half. */
bool user_range_ok(unsigned long addr, unsigned long len);
unsigned long prot_to_vm_flags(unsigned long prot);
