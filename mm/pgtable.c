/*
 * Making and finding page tables.
 *
 * Locks: page_table_lock of the mm (init_mm's for the kernel's) for linking; a table, once linked,
 * stays while anybody may walk to it (see pgtable.h).
 */
#include "mm/pgtable.h"

#include "mm/lazy_mmu.h"
#include "mm/tlb.h"

struct page *table_alloc(struct mm *mm, unsigned level)
{
	struct page *page = alloc_page_zeroed(mm == &init_mm ? PAGE_KERNEL_TABLE : PAGE_TABLE);

	if (!page)
		return NULL;
	page->level = level;
	page->table_mm = mm;
	spin_lock_init(&page->ptl, LOCK_PTE);
	if (!pv_alloc_table(mm, page_to_pfn(page), level)) {
		free_page(page);
		return NULL;
	}
	return page;
}

void table_free(struct page *page)
{
	BUG_ON((page->kind != PAGE_TABLE && page->kind != PAGE_KERNEL_TABLE) ||
	       spin_is_locked(&page->ptl));
	pv_release_table(page_to_pfn(page), page->level);
	free_page(page);
}

pmd_t *pmd_find(const struct mm *mm, unsigned long addr)
{
	pgd_t pgd = *(volatile pgd_t *)pgd_offset(mm, addr);
	pud_t pud;

	if (pgd_none(pgd))
		return NULL;
	pud = *(volatile pud_t *)pud_offset(pgd, addr);
	if (pud_none(pud))
		return NULL;
	return pmd_offset(pud, addr);
}

/*
 * Link a new table into *@entry, unless another CPU was faster. The three levels differ in the
 * types of their entries and in nothing else.
 */
#define DEFINE_LINK(lvl, table_level)                                                              \
	static bool link_##lvl(struct mm *mm, lvl##_t *entry)                                      \
	{                                                                                          \
		struct page *page = table_alloc(mm, table_level);                                  \
                                                                                                   \
		if (!page)                                                                         \
			return false;                                                              \
		spin_lock(&mm->page_table_lock);                                                   \
		if (lvl##_none(*(volatile lvl##_t *)entry)) {                                      \
			set_##lvl(entry, lvl##_make(page_to_pfn(page), _PAGE_TABLE));              \
			page = NULL;                                                               \
		}                                                                                  \
		spin_unlock(&mm->page_table_lock);                                                 \
		if (page)                                                                          \
			table_free(page);                                                          \
		return true;                                                                       \
	}
DEFINE_LINK(pgd, 3)
DEFINE_LINK(pud, 2)
DEFINE_LINK(pmd, 1)

pmd_t *pmd_alloc(struct mm *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	pud_t *pud;

	if (pgd_none(*(volatile pgd_t *)pgd) && !link_pgd(mm, pgd))
		return NULL;
	pud = pud_offset(*pgd, addr);
	if (pud_none(*(volatile pud_t *)pud) && !link_pud(mm, pud))
		return NULL;
	return pmd_offset(*pud, addr);
}

bool pte_alloc(struct mm *mm, pmd_t *pmd)
{
	return !pmd_none(*(volatile pmd_t *)pmd) || link_pmd(mm, pmd);
}

#ifdef CONFIG_DEBUG

void pte_assert_unlock(void)
{
	preempt_disable();
	if (!batch_is_empty())
		panic("a PTE page is unlocked with updates still queued");
	preempt_enable();
}

void ptep_assert_not_queued(const pte_t *ptep)
{
	if (unlikely(current->lazy_mmu) && batch_is_pending(ptep))
		panic("read hazard: the entry at %p is read while its update is queued", ptep);
}

#endif

bool kernel_map_prepare(unsigned long va)
{
	pmd_t *pmd = pmd_alloc(&init_mm, va);

	return pmd && pte_alloc(&init_mm, pmd);
}

/* The kernel's entries are never queued: whoever maps a page touches it next. */
void kernel_map(unsigned long va, pfn_t p, pgprot_t prot)
{
	pmd_t *pmd = pmd_find(&init_mm, va);

	BUG_ON(!pmd || pmd_none(*pmd) || is_lazy_mmu_mode_active());
	pv_set_pte(pte_offset(*pmd, va), pfn_pte(p, prot));
}
