/*
 * The policy of a page fault; mm/range/fault.c then changes the entry.
 *
 * Locks: the VMA's, if the task remembers the VMA and nobody changes it. Else, and where that lock
 * does not do, mmap_lock for reading; the VMA is remembered then.
 */
#include "mm/space/mm_fault.h"

#include "kernel/debug/counters.h"
#include "mm/layout/stack.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

static bool vma_permits(const struct vma *vma, unsigned access)
{
	if (access & FAULT_WRITE)
		return vma->flags & VM_WRITE;
	if (access & FAULT_EXEC)
		return vma->flags & VM_EXEC;
	return vma->flags & VM_ACCESS;
}

/* @vma, which is locked in one way or the other, contains @addr; @lock: FAULT_VMA_LOCK, or 0. */
static enum fault_result vma_fault(struct vma *vma, unsigned long addr, unsigned access,
				   unsigned lock)
{
	return likely(vma_permits(vma, access)) ? handle_mm_fault(vma, addr, access | lock)
						: FAULT_SEGV;
}

static enum fault_result fault_by_mmap_lock(struct mm *mm, unsigned long addr, unsigned access)
{
	enum fault_result result = FAULT_SEGV;
	struct vma *vma;

	count(CNT_MMAP_LOCK_FAULTS);
	mmap_read_lock(mm);
	vma = vma_find(&mm->vmas, addr);
	if (vma && unlikely(vma->start > addr))
		vma = stack_grow(mm, addr);
	if (vma) {
		result = vma_fault(vma, addr, access, 0);
		vma_remember(vma, addr);
	}
	mmap_read_unlock(mm);
	return result;
}

enum fault_result mm_fault(struct mm *mm, unsigned long addr, unsigned access)
{
	struct vma *vma = vma_lock_remembered(mm, addr);
	enum fault_result result = FAULT_RETRY;

	if (likely(vma)) {
		result = vma_fault(vma, addr, access, FAULT_VMA_LOCK);
		vma_end_read(vma);
	}
	return likely(result != FAULT_RETRY) ? result : fault_by_mmap_lock(mm, addr, access);
}
