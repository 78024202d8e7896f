/*
 * The layout of an address space: the memory-management system calls, on the current task's mm. All
 * return 0, an address, or a negative error number with Linux's meaning.
 */
#pragma once

#include "mm/mm.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_POPULATE 0x8000
#define MAP_FIXED_NOREPLACE 0x100000
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MADV_NORMAL 0
#define MADV_RANDOM 1
#define MADV_SEQUENTIAL 2
#define MADV_WILLNEED 3
#define MADV_DONTNEED 4
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23

/* What mmap maps when it is not anonymous memory: fixed frames, from page @pgoff of the device. */
struct mmap_frames {
	u64 first_pfn, count;
};

/* @frames: NULL for anonymous memory. */
long do_mmap(unsigned long addr, unsigned long len, unsigned long prot, unsigned long flags,
	     const struct mmap_frames *frames, unsigned long pgoff);
long do_munmap(unsigned long addr, unsigned long len);
long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot);
long do_mremap(unsigned long old, unsigned long old_len, unsigned long new_len, unsigned long flags,
	       unsigned long new_addr);
long do_madvise(unsigned long addr, unsigned long len, int advice);
long do_brk(unsigned long brk);

/* For the tear-down of an mm, and for a fork that failed. No lock is needed: nobody else has it. */
void unmap_everything(struct mm *mm);
struct vma *vma_alloc(struct mm *mm, unsigned long start, unsigned long end, unsigned long flags);
/* Give back a VMA that was detached, or never was in the layout. */
void vma_free(struct vma *v);
/* The end of the last reference: vma_put(). */
void vma_free_memory(struct vma *v);
/* A new VMA like @v, over @start..@end of it; not in any set. NULL: no memory. */
struct vma *vma_clone(const struct vma *v, struct mm *mm, unsigned long start, unsigned long end);
