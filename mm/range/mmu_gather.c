/*
 * mmu_gather; see mmu_gather.h. The object is its caller's; no locks.
 */
#include "mm/range/mmu_gather.h"

#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/whole_table.h"
#include "mm/table/tables.h"

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm)
{
	tlb->mm = mm;
	tlb->start = ~0UL;
	tlb->end = 0;
	tlb->nr = 0;
	tlb->tables = NULL;
	tlb->whole_tables = false;
}

static void add_range(struct mmu_gather *tlb, unsigned long addr, unsigned long size)
{
	tlb->start = min(tlb->start, addr);
	tlb->end = max(tlb->end, addr + size);
}

void tlb_remove_ptes(struct mmu_gather *tlb, unsigned long addr, const pte_t *pte, unsigned n)
{
	struct gathered *page = tlb->page + tlb->nr;
	const unsigned first = pte_index(addr);

	BUG_ON(tlb->nr + n > GATHER_MAX);
	add_range(tlb, addr, n * PAGE_SIZE);
	for (unsigned i = 0; i < n; i++)
		if (!pte_special(pte[i]))
			*page++ = (struct gathered){
				.pfn = pte_pfn(pte[i]).v,
				.index = first + i,
				.dirty = pte_dirty(pte[i]),
			};
	tlb->nr = page - tlb->page;
}

void tlb_remove_table(struct mmu_gather *tlb, unsigned long addr, struct page *table)
{
	/*
	 * Any address does for an empty table; of one that maps something, all must be forgotten.
	 */
	if (table->pg_flags & PG_DROP_WHOLE)
		add_range(tlb, pmd_start(addr), PMD_SIZE);
	else
		add_range(tlb, addr, PAGE_SIZE);
	table->next_free = tlb->tables;
	tlb->tables = table;
}

/* It has no users: tlb_evict_mm() has been called, and no CPU will load it. */
static bool is_evicted(const struct mm *mm)
{
	if (likely(atomic_read(&mm->users)))
		return false;
	ASSERT(!cpumask_weight(&mm->tlb.cpus));
	return true;
}

void tlb_flush_mmu(struct mmu_gather *tlb)
{
	if (is_evicted(tlb->mm))
		owed_forget(tlb->mm);
	else if (tlb->start < tlb->end && tlb->tables)
		flush_tlb_tables(tlb->mm, tlb->start, tlb->end);
	else if (tlb->start < tlb->end)
		flush_tlb_range(tlb->mm, tlb->start, tlb->end);
	tlb->start = ~0UL;
	tlb->end = 0;
}

void tlb_harvest(struct mmu_gather *tlb, const pte_t *table)
{
	if (!pv_queues_updates)
		return; /* what each clear has returned is final */
	for (unsigned i = 0; i < tlb->nr; i++)
		tlb->page[i].dirty |= pte_dirty(ptep_harvest(table + tlb->page[i].index));
}

/* Nothing unhooked may still wait for its invalidation: not here, and not in this CPU's queue. */
static void assert_flushed(const struct mmu_gather *tlb)
{
	BUG_ON(tlb->start < tlb->end);
	ASSERT(!is_lazy_mmu_mode_active());
}

void tlb_free_pages(struct mmu_gather *tlb)
{
	assert_flushed(tlb);
	for (unsigned i = 0; i < tlb->nr; i++) {
		struct page *page = pfn_to_page(pfn(tlb->page[i].pfn));

		if (tlb->page[i].dirty)
			page_set_dirty(page);
		put_page(page);
	}
	tlb->nr = 0;
}

#ifdef CONFIG_DEBUG
static void assert_table_empty(const struct page *page)
{
	const pte_t *e = page_to_virt(page);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		if (!pte_none(e[i]))
			panic("table %#lx of level %u is freed with entry %u = %#lx",
			      page_to_pfn(page).v, page->level, i, e[i].v);
}
#else
static void assert_table_empty(const struct page *page __unused) {}
#endif

/* No CPU walks it any more, so what it holds now is final, D bits included. */
static void drop_contents(struct page *table)
{
	count(CNT_TABLES_DROPPED);
	if (!(table->pg_flags & PG_PLAIN_TABLE))
		table_make_plain(table);
	plain_table_drop(table);
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	tlb_flush_mmu(tlb);
	tlb_free_pages(tlb);
	while (tlb->tables) {
		struct page *table = tlb->tables;

		tlb->tables = table->next_free;
		if (table->pg_flags & PG_DROP_WHOLE)
			drop_contents(table);
		assert_table_empty(table);
		table_free(table);
	}
}
