/*
 * remap_pfn_range: fixed frames (of a device) into user mode, a section for each PTE page.
 */
#include "mm/range/remap.h"

#include "mm/lazy/lazy_mmu.h"
#include "mm/table/pgtable.h"
#include "mm/table/walk.h"

static int remap_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			   void *arg)
{
	pfn_t *frame = arg;
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd, addr, &ptl);
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	for (; addr != end; ptep++, addr += PAGE_SIZE, frame->v++) {
		BUG_ON(!pte_none(ptep_get(ptep)));
		count(CNT_DEVICE_PAGES);
		set_pte_at(vma->mm, addr, ptep,
			   pte_mkspecial(pfn_pte(*frame, vm_page_prot(vma->flags))));
	}
	arch_leave_lazy_mmu_mode(state);
	pte_unmap_unlock(ptep - 1, ptl);
	return 0;
}

int remap_pfn_range(struct vma *vma, unsigned long start, unsigned long end, pfn_t first)
{
	return walk_pte_ranges_alloc(vma, start, end, remap_pte_range, &first);
}
