/*
 * The checks of debug builds on the use of PTEs, and the kernel's own mappings.
 */
#include "mm/table/pgtable.h"

#include "kernel/sched/task.h"
#include "mm/frame/owed.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/table/tables.h"

#ifdef CONFIG_DEBUG

void pte_assert_unlock(void)
{
	preempt_disable();
	if (!batch_is_empty())
		panic("a PTE page is unlocked with updates still queued");
	preempt_enable();
	owed_assert_nothing("a PTE page is unlocked");
}

void ptep_assert_locked(const pte_t *ptep)
{
	if (!lockdep_is_held(&virt_to_page(ptep)->ptl))
		panic("the entry at %p changes, and its PTE page is not locked", ptep);
}

void links_no_table(u64 entry, unsigned level)
{
	panic("the entry %#lx of level %u links no table of level %u", entry, level + 1, level);
}

void ptep_assert_not_queued(const pte_t *ptep)
{
	if (unlikely(current->lazy_mmu) && batch_is_pending(ptep))
		panic("read hazard: the entry at %p is read while its update is queued", ptep);
}

/* Tests have entries elsewhere; of what was made at boot, and before that, no kind says it. */
void ptep_assert_in_table(const pte_t *ptep)
{
	vaddr_t offset = (vaddr_t)ptep - DIRECT_MAP;

	if (!mem_map || offset >= max_pfn << PAGE_SHIFT)
		return;
	if (unlikely(pfn_to_page(pfn(offset >> PAGE_SHIFT))->kind == PAGE_FREE))
		panic("the entry at %p is read, and lies in no table any more", ptep);
}

#endif

/* The kernel's entries are never queued: whoever maps a page touches it next. */
void kernel_map(unsigned long va, pfn_t p, pgprot_t prot)
{
	pmd_t *pmd = pmd_find(&init_mm, va);

	BUG_ON(!pmd || pmd_none(*pmd) || is_lazy_mmu_mode_active());
	pv_set_pte(pte_offset(*pmd, va), pfn_pte(p, prot));
}

struct page *kernel_unmap(unsigned long va)
{
	pmd_t *pmd = pmd_find(&init_mm, va);
	struct page *page;
	pte_t *ptep;

	BUG_ON(!pmd || pmd_none(*pmd) || is_lazy_mmu_mode_active());
	ptep = pte_offset(*pmd, va);
	page = pte_page(ptep_get(ptep));
	pv_set_pte(ptep, (pte_t){0});
	return page;
}
