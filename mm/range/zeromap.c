/*
 * zeromap: fill a range of private memory that will only be read with the zero page, in one section
 * for each PTE page, instead of taking a fault for each page.
 */
#include "mm/range/zeromap.h"

#include "kernel/debug/panic.h"
#include "mm/range/pte_section.h"
#include "mm/table/walk.h"

struct page *zero_page;

void zero_page_init(void)
{
	zero_page = alloc_page_zeroed(PAGE_KERNEL);
	if (!zero_page)
		panic("out of memory for the zero page");
}

static int zeromap_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			     void *arg __unused)
{
	pte_t zero = pte_mkspecial(pte_wrprotect(mk_pte(zero_page, vm_page_prot(vma->flags))));
	struct pte_section s;
	pte_t *ptep = pte_section_begin(&s, pmd, addr);

	for (; addr != end; ptep++, addr += PAGE_SIZE) {
		if (pte_none(ptep_get(ptep)))
			set_pte_at(vma->mm, addr, ptep, zero);
	}
	pte_section_end(&s);
	return 0;
}

int zeromap_page_range(struct vma *vma, unsigned long start, unsigned long end)
{
	return walk_pte_ranges_alloc(vma, start, end, zeromap_pte_range, NULL);
}
