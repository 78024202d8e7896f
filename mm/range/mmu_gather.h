/*
 * Unhook, flush, and only then free: the object that keeps the order when mappings are dropped.
 *
 * In a section: tlb_remove_ptes() for what is cleared, tlb_flush_mmu() for the invalidation that the
 * leave pays. After the leave, still under the lock: tlb_harvest(). Then tlb_free_pages(),
 * which refuses pages whose translations have not been invalidated. tlb_remove_table() and
 * tlb_finish_mmu() do the same for tables.
 */
#pragma once

#include "mm/table/pgtable.h"

#define GATHER_MAX PTRS_PER_TABLE /* a section covers one PTE page */

struct gathered {
	u64 pfn : 48, index : 9, dirty : 1; /* index of the entry in its table */
};

struct mmu_gather {
	struct mm *mm;
	unsigned long start, end; /* unhooked and not yet invalidated */
	unsigned nr;
	struct gathered page[GATHER_MAX];
	struct page *tables; /* unlinked, by next_free */
	bool whole_tables;   /* some of them, or of those to come, still map something */
};

/* Begin: nothing of @mm is gathered. Ends with tlb_finish_mmu(). */
void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm);
/*
 * @n entries of one table are cleared, from that of @addr on, which held @pte; the references to
 * their pages go with tlb_free_pages(). The special ones had no counted page.
 */
void tlb_remove_ptes(struct mmu_gather *tlb, unsigned long addr, const pte_t *pte, unsigned n);
/* A table that covered @addr is unlinked. */
void tlb_remove_table(struct mmu_gather *tlb, unsigned long addr, struct page *table);
/* Invalidate what was unhooked; in a section, by its leave. An mm without users needs nothing. */
void tlb_flush_mmu(struct mmu_gather *tlb);
/* Collect the D bits that entries of @table gathered until their clear took effect. */
void tlb_harvest(struct mmu_gather *tlb, const pte_t *table) __must_hold(ptl_role);
/*
 * Drop the references to the pages gathered, with their D bits. Panics if one has not been
 * invalidated.
 */
void tlb_free_pages(struct mmu_gather *tlb);
/* Invalidate what is left, free pages and tables. */
void tlb_finish_mmu(struct mmu_gather *tlb);
