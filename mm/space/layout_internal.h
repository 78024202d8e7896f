/*
 * What the system calls that change the layout share; mmap_lock of @mm is held for writing.
 */
#pragma once

#include "mm/mm.h"

/* Where mmap and mremap look for a place. */
#define MMAP_CEILING 0x00007f0000000000UL
#define MMAP_FLOOR 0x10000UL
/* The same for MAP_32BIT, as on Linux: addresses of 31 bits. */
#define MMAP_32BIT_FLOOR 0x40000000UL
#define MMAP_32BIT_CEILING 0x80000000UL

/* The VMAs that an mm may have: the default of Linux's vm.max_map_count, and off by one where it
 * is. */
#define MAX_MAP_COUNT 65530u

/* @v, which overlaps no other, belongs to the layout from now on. */
void mm_insert_vma(struct mm *mm, struct vma *v);
/* @v, a member, belongs to the layout no more. It stays the caller's. */
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
/*
 * Where @len bytes, not 0 and at most USER_END, can be mapped: at @addr with MAP_FIXED or
 * MAP_FIXED_NOREPLACE in MAP_* @flags, else there if it is free. Or -EINVAL, -ENOMEM, -EPERM,
 * -EEXIST.
 */
long mmap_place(struct mm *mm, unsigned long addr, unsigned long len, unsigned long flags);
/* True if RLIMIT_AS lets @len bytes more be mapped. */
bool mm_may_grow(const struct mm *mm, unsigned long len);
/* Page-aligned, not empty, within the user half. */
bool user_range_ok(unsigned long addr, unsigned long len);
/* VM_READ, VM_WRITE and VM_EXEC for PROT_* @prot; its other bits are dropped. */
unsigned long prot_to_vm_flags(unsigned long prot);
