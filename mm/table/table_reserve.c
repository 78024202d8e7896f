/*
 * The reserve of page tables; see table_reserve.h.
 *
 * Lock: reserve_lock.
 */
#include "mm/table/table_reserve.h"

#include "kernel/debug/panic.h"
#include "mm/types/pgtable_types.h"
#include "pv/pv_ops.h"

static DEFINE_SPINLOCK(reserve_lock, LOCK_TABLE_RESERVE);
static struct reserve {
	struct page *first; /* by next_free */
	unsigned nr;
} reserves[5] __guarded_by(reserve_lock); /* by level */

/* For each level; all of them together hold back 0.4 % of memory at most. */
static unsigned reserve_max(void)
{
	return min(max(max_pfn / 1024, 4UL), (u64)pv_table_costs.reserve_max);
}

#ifdef CONFIG_DEBUG
static void assert_empty(const struct page *page)
{
	const u64 *e = page_to_virt(page);

	for (unsigned i = 0; i < PTRS_PER_TABLE / (page->level == 4 ? 2 : 1); i++)
		if (e[i] & ~_PAGE_AD)
			panic("table pfn %#lx of level %u in reserve has entry %u = %#lx",
			      page_to_pfn(page).v, page->level, i, e[i]);
}
#else
static void assert_empty(const struct page *page __unused) {}
#endif

static void set_kind(struct page *page, enum page_kind kind)
{
	page_set_kind(page, kind);
	if (page->backend)
		page_set_kind(pfn_to_page(pfn(page->backend)), kind);
}

struct page *table_reserve_take(unsigned level)
{
	struct reserve *r = &reserves[level];
	struct page *page;

	spin_lock(&reserve_lock);
	page = r->first;
	if (page) {
		r->first = page->next_free;
		r->nr--;
	}
	spin_unlock(&reserve_lock);
	if (!page)
		return NULL;
	ASSERT(page->level == level);
	set_kind(page, PAGE_TABLE);
	assert_empty(page);
	return page;
}

bool table_reserve_keep(struct page *page)
{
	struct reserve *r = &reserves[page->level];
	bool keep;

	assert_empty(page);
	spin_lock(&reserve_lock);
	keep = r->nr < reserve_max();
	if (keep) {
		set_kind(page, PAGE_TABLE_RESERVE);
		page->next_free = r->first;
		r->first = page;
		r->nr++;
	}
	spin_unlock(&reserve_lock);
	return keep;
}

static struct page *take_any(void)
{
	struct page *page = NULL;

	spin_lock(&reserve_lock);
	for (unsigned level = 1; level < ARRAY_SIZE(reserves) && !page; level++) {
		page = reserves[level].first;
		if (page) {
			reserves[level].first = page->next_free;
			reserves[level].nr--;
		}
	}
	spin_unlock(&reserve_lock);
	return page;
}

void table_reserve_give_back(void)
{
	struct page *page;

	while ((page = take_any())) {
		pv_unmake_table(page_to_pfn(page));
		free_page(page);
	}
}

void table_reserve_for_each(void (*fn)(struct page *page))
{
	spin_lock(&reserve_lock);
	for (unsigned level = 0; level < ARRAY_SIZE(reserves); level++)
		for (struct page *page = reserves[level].first; page; page = page->next_free)
			fn(page);
	spin_unlock(&reserve_lock);
}
