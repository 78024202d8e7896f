/*
 * remap_pfn_range: fixed frames (of a device) into user mode, a section for each PTE page.
 */
#include "mm/range/remap.h"

#include "mm/range/pte_section.h"
#include "mm/table/walk.h"

static int remap_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			   void *arg)
{
	pfn_t *frame = arg;
	struct pte_section s;
	pte_t *ptep = pte_section_begin(&s, pmd, addr);

	for (; addr != end; ptep++, addr += PAGE_SIZE, frame->v++) {
		BUG_ON(!pte_none(ptep_get(ptep)));
		count(CNT_DEVICE_PAGES);
		set_pte_at(vma->mm, addr, ptep,
			   pte_mkspecial(pfn_pte(*frame, vm_page_prot(vma->flags))));
	}
	pte_section_end(&s);
	return 0;
}

int remap_pfn_range(struct vma *vma, unsigned long start, unsigned long end, pfn_t first)
{
	return walk_pte_ranges_alloc(vma, start, end, remap_pte_range, &first);
}
