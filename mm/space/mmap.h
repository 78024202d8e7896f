/*
 * The layout of an address space: the memory-management system calls, on the current task's mm. All
 * return 0, an address, or a negative error number with Linux's meaning.
 */
#pragma once

#include "mm/frame/frames_device.h"
#include "mm/mm.h"

#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROT_SEM 8 /* without effect on x86 */
#define PROT_GROWSDOWN 0x01000000
#define PROT_GROWSUP 0x02000000
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_SHARED_VALIDATE 0x03
#define MAP_DROPPABLE 0x08
#define MAP_TYPE 0x0f
#define MAP_FIXED 0x10
#define MAP_ANONYMOUS 0x20
#define MAP_32BIT 0x40
#define MAP_GROWSDOWN 0x100
#define MAP_LOCKED 0x2000
#define MAP_POPULATE 0x8000
#define MAP_HUGETLB 0x40000
#define MAP_FIXED_NOREPLACE 0x100000
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MREMAP_DONTUNMAP 4
#define MADV_NORMAL 0
#define MADV_WILLNEED 3
#define MADV_DONTNEED 4
#define MADV_FREE 8
#define MADV_REMOVE 9
#define MADV_DONTFORK 10
#define MADV_DOFORK 11
#define MADV_MERGEABLE 12
#define MADV_UNMERGEABLE 13
#define MADV_HUGEPAGE 14
#define MADV_NOHUGEPAGE 15
#define MADV_DONTDUMP 16
#define MADV_DODUMP 17
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#define MADV_DONTNEED_LOCKED 24
#define MADV_COLLAPSE 25
#define MADV_HWPOISON 100
#define MADV_SOFT_OFFLINE 101
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103

#define STACK_LIMIT_DEFAULT (8UL << 20) /* RLIMIT_STACK of the first process, as on Linux */

/* @frames: NULL for anonymous memory. */
long do_mmap(unsigned long addr, unsigned long len, unsigned long prot, unsigned long flags,
	     const struct mmap_frames *frames, unsigned long pgoff);
/* munmap(2) in the caller's mm: 0, -EINVAL, -ENOMEM. */
long do_munmap(unsigned long addr, unsigned long len);
/*
 * mprotect(2) in the caller's mm: 0, -EINVAL; -ENOMEM: also at a hole, before which all has
 * changed.
 */
long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot);
/*
 * mremap(2) in the caller's mm, as Linux 6.18: the address, or -EINVAL, -EFAULT, -ENOMEM, -EPERM.
 */
long do_mremap(unsigned long old, unsigned long old_len, unsigned long new_len, unsigned long flags,
	       unsigned long new_addr);
/*
 * madvise(2) in the caller's mm: 0, -EINVAL, -ENOMEM, -EAGAIN, and of MADV_POPULATE_* what
 * mm_populate() says.
 */
long do_madvise(unsigned long addr, unsigned long len, int advice);
/* brk(2), the system call: where the break is now, which is the old one if @brk cannot be had. */
long do_brk(unsigned long brk);

/* For the tear-down of an mm, and for a fork that failed. No lock is needed: nobody else has it. */
void unmap_everything(struct mm *mm);
