/*
 * The policy of a page fault of user memory: which VMA it is of, by which lock, whether that VMA
 * permits it, and when to look again. mm/range/fault.c then changes the entry.
 *
 * Locks: the VMA's, if the task remembers the VMA and nobody changes it. Else, and where that lock
 * does not do, mmap_lock for reading; the VMA is remembered then.
 *
 * Inline, because a frame of its own costs 2 % of a fault; there is one caller.
 */
#pragma once

#include "mm/range/fault.h"
#include "mm/vma/mmap_lock.h"

static inline bool vma_permits(const struct vma *vma, unsigned access)
{
	if (access & FAULT_WRITE)
		return vma->flags & VM_WRITE;
	if (access & FAULT_EXEC)
		return vma->flags & VM_EXEC;
	return vma->flags & VM_ACCESS;
}

/* @vma, which is locked in one way or the other, contains @addr; @lock: FAULT_VMA_LOCK, or 0. */
static inline enum fault_result vma_fault(struct vma *vma, unsigned long addr, unsigned access,
					  unsigned lock)
{
	return likely(vma_permits(vma, access)) ? handle_mm_fault(vma, addr, access | lock)
						: FAULT_SEGV;
}

/* By mmap_lock, which is not held. */
enum fault_result mm_fault_by_mmap_lock(struct mm *mm, unsigned long addr, unsigned access);

/*
 * Make progress on an access to user address @addr of @mm, the current task's: @access is
 * FAULT_WRITE or FAULT_EXEC, or 0 for a read. Never FAULT_RETRY. No lock is held; may sleep.
 */
static inline enum fault_result mm_fault(struct mm *mm, unsigned long addr, unsigned access)
{
	struct vma *vma = vma_lock_remembered(mm, addr);
	enum fault_result result = FAULT_RETRY;

	if (likely(vma)) {
		result = vma_fault(vma, addr, access, FAULT_VMA_LOCK);
		vma_end_read(vma);
	}
	return likely(result != FAULT_RETRY) ? result : mm_fault_by_mmap_lock(mm, addr, access);
}
