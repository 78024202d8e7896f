/*
 * Page faults of user mode, and of the kernel's copies to and from it.
 */
#pragma once

#include "mm/mm.h"

enum fault_result {
	FAULT_OK,    /* the access may be tried again; it may fault again, for another reason */
	FAULT_SEGV,  /* no VMA, or none that permits the access */
	FAULT_OOM,   /* no memory */
	FAULT_BUS,   /* the object that is mapped has no such page */
	FAULT_RETRY, /* with FAULT_VMA_LOCK only: mmap_lock is needed; nothing was done */
};

enum fault_flags {
	/* The access, as the CPU's error code has it, so that decoding costs no more; else a read. */
	FAULT_WRITE = 2,
	FAULT_EXEC = 16,
	FAULT_VMA_LOCK = 4, /* the lock of the VMA is held, and not mmap_lock */
};

/* The boot parameter neighbours=: off populates the page of the access only. */
extern bool fault_neighbours_enabled;

/*
 * Make progress on an access to @addr, which @vma permits. mmap_lock held for reading (or writing),
 * or, with FAULT_VMA_LOCK, the VMA's.
 */
enum fault_result handle_mm_fault(struct vma *vma, unsigned long addr, unsigned flags);
