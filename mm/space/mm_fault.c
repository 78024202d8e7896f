/*
 * The rarer way of a page fault; see mm_fault.h.
 */
#include "mm/space/mm_fault.h"

#include "kernel/debug/counters.h"
#include "mm/layout/stack.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

enum fault_result mm_fault_by_mmap_lock(struct mm *mm, unsigned long addr, unsigned access)
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
