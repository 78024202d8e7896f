/*
 * Empty page tables that wait for their next use.
 *
 * A table that goes is empty by then, so the next one of its level need not be cleared: 519
 * instructions natively. On Xen a table in reserve stays read-only and pinned, and linking it is
 * cheap; making one costs Xen ten thousand instructions, unmaking it as much, and a frame that
 * changes its type a TLB flush.
 */
#pragma once

#include "mm/frame/page.h"

/*
 * An empty table of @level that has been one before, as it was left; NULL: there is none. Empty
 * means pte_none(): on Xen entries that were cleared may still have the A and D bits of their
 * former life, which mean nothing without a frame, and which the next entry overwrites.
 */
struct page *table_reserve_take(unsigned level);
/* Keep @page, which is empty. False: the reserve is full, or the backend wants none. */
bool table_reserve_keep(struct page *page);
/* Give all of them back to the page allocator: memory is short. */
void table_reserve_give_back(void);
/* Audits: call @fn for each. */
void table_reserve_for_each(void (*fn)(struct page *page));
