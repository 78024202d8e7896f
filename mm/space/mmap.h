/*
 * The layout of an address space: the memory-management system calls, on the current task's mm. All
 * return 0, an address, or a negative error number with Linux's meaning.
 */
#pragma once

#include "mm/frame/frames_device.h"
#include "mm/layout/mman.h"
#include "mm/mm.h"

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
