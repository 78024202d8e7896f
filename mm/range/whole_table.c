/*
 * Table-wise operations; see whole_table.h.
 */
#include "mm/range/whole_table.h"

#include "kernel/debug/panic.h"
#include "mm/frame/owed.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/vma/mmap_lock.h"

bool whole_tables_enabled = true;

bool table_holds(pmd_t pmd, unsigned min)
{
	const pte_t *e = pte_offset(pmd, 0), *end = e + PTRS_PER_TABLE;
	u64 sum = 0;

	for (; e != end && ptes_in_sum(sum) < min; e += 2 * PTES_PER_LINE)
		sum += pte_line_sum(e) + pte_line_sum(e + PTES_PER_LINE);
	return ptes_in_sum(sum) >= min;
}

/* --- the right to write --- */

static void set_pmd(struct mm *mm, pmd_t *pmd, unsigned long addr, u64 val)
{
	trace(TRACE_TABLE, mm_context(mm), pmd_start(addr), val);
	pv_set_tables(&(struct table_change){pmd, val}, 1);
}

void pmd_wrprotect(struct mm *mm, pmd_t *pmd, unsigned long addr)
{
	lockdep_assert_held(pte_lockptr(*pmd));
	ASSERT(!is_lazy_mmu_mode_active());
	count(CNT_TABLES_PROTECTED);
	preempt_point();
	set_pmd(mm, pmd, addr, pmd->v & ~_PAGE_RW);
	preempt_point();
	addr = pmd_start(addr);
	flush_tlb_tables(mm, addr, addr + PMD_SIZE);
}

void pmd_link(struct mm *mm, pmd_t *pmd, unsigned long addr, struct page *table)
{
	lockdep_assert_held(&mm->page_table_lock);
	set_pmd(mm, pmd, addr, pmd_make(page_to_pfn(table), _PAGE_TABLE).v);
}

void pmd_mkwrite(struct mm *mm, pmd_t *pmd, unsigned long addr)
{
	lockdep_assert_held(pte_lockptr(*pmd));
	ASSERT(!is_lazy_mmu_mode_active());
	pfn_to_page(pmd_pfn(*pmd))->pg_flags &= ~PG_SHARED_BELOW;
	preempt_point();
	set_pmd(mm, pmd, addr, pmd->v | _PAGE_RW);
}

/* --- tables that nobody can reach --- */

void table_make_plain(struct page *table)
{
	owed_assert_nothing("a table becomes plain memory");
	pv_unmake_table(page_to_pfn(table));
	table->pg_flags = PG_PLAIN_TABLE;
}

void plain_table_adopt(struct mm *mm, struct page *table)
{
	table->pg_flags &= ~PG_PLAIN_TABLE;
	BUG_ON(pv_alloc_table(mm, page_to_pfn(table), 1));
}

bool plain_table_link(struct mm *mm, unsigned long addr, struct page *table)
{
	pmd_t *pmd = pmd_find(mm, addr);
	bool free;

	mmap_assert_locked(mm);
	plain_table_adopt(mm, table);
	spin_lock(&mm->page_table_lock);
	free = pmd_none(pmdp_get(pmd));
	if (free)
		pmd_link(mm, pmd, addr, table);
	spin_unlock(&mm->page_table_lock);
	if (free)
		count(CNT_TABLES_FILLED);
	else
		table_make_plain(table);
	return free;
}

void plain_table_drop(struct page *table)
{
	pte_t *e = page_to_virt(table);
	struct page *page;

	ASSERT(table->pg_flags & PG_PLAIN_TABLE);
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		pte_t pte = e[i];

		e[i].v = 0;
		if (pte_none(pte) || pte_special(pte))
			continue;
		page = pte_page(pte);
		if (pte_dirty(pte))
			page_set_dirty(page);
		put_page(page);
	}
}
