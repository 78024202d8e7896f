/*
 * Page tables as objects: making them, linking them, giving them back.
 *
 * A table is linked only when it is complete (cleared, and accepted by the backend), and all links
 * of one operation are made in one call of the pv table: on Xen each such call costs a TLB flush of
 * all vCPUs.
 *
 * Lock: page_table_lock of the mm for its links. A table, once linked, stays while anybody may walk
 * to it: see pgtable.h.
 */
#include "mm/table/tables.h"

#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/sync/lockdep.h"
#include "mm/frame/owed.h"
#include "mm/frame/page.h"
#include "mm/table/pgtable.h"
#include "mm/table/table_reserve.h"

/* The kernel's half of a new L4 table is everybody's. */
static void fill_kernel_half(struct page *page)
{
	pgd_t *pgd = page_to_virt(page);

	memcpy(pgd + PTRS_PER_TABLE / 2, init_mm.pgd + PTRS_PER_TABLE / 2, PAGE_SIZE / 2);
}

static struct page *new_table(struct mm *mm, unsigned level)
{
	struct page *page = alloc_page_zeroed(mm == &init_mm ? PAGE_KERNEL_TABLE : PAGE_TABLE);

	if (!page)
		return NULL;
	page->level = level;
	page->backend = 0;
	if (level == 4)
		fill_kernel_half(page);
	if (pv_alloc_table(mm, page_to_pfn(page), level)) {
		free_page(page);
		return NULL;
	}
	return page;
}

/* An empty table begins a life in @mm. */
static struct page *table_of(struct page *page, struct mm *mm, u16 flags)
{
	page->table_mm = mm;
	page->pg_flags = flags;
	page->covers = page->level == 4 ? 0 : TABLE_UNLINKED;
	spin_lock_init(&page->ptl, LOCK_PTE);
	return page;
}

struct page *table_alloc(struct mm *mm, unsigned level)
{
	struct page *page = NULL;

	if (unlikely(alloc_failure_injected()))
		return NULL;
	if (mm != &init_mm)
		page = table_reserve_take(level);
	if (!page)
		page = new_table(mm, level);
	return page ? table_of(page, mm, 0) : NULL;
}

struct page *plain_table_alloc_uncleared(struct mm *mm)
{
	struct page *page = alloc_page(PAGE_TABLE);

	if (!page)
		return NULL;
	page->level = 1;
	page->backend = 0;
	return table_of(page, mm, PG_PLAIN_TABLE);
}

/* A cleared page; where tables are plain memory, one that was a table before will do. */
struct page *plain_table_alloc(struct mm *mm)
{
	struct page *page = pv_owns_tables ? NULL : table_reserve_take(1);

	if (page)
		return table_of(page, mm, PG_PLAIN_TABLE);
	page = plain_table_alloc_uncleared(mm);
	if (page)
		clear_page(page_to_virt(page));
	return page;
}

void table_free(struct page *page)
{
	BUG_ON((page->kind != PAGE_TABLE && page->kind != PAGE_KERNEL_TABLE) ||
	       spin_is_locked(&page->ptl));
	owed_assert_nothing("a table is freed");
	/* A PTE page that is plain memory is not the backend's any more. */
	if (!(pv_owns_tables && (page->pg_flags & PG_PLAIN_TABLE))) {
		if (page->kind == PAGE_TABLE && table_reserve_keep(page))
			return;
		pv_unmake_table(page_to_pfn(page));
	}
	free_page(page);
}

void table_changes_init(struct table_changes *tc)
{
	tc->n = 0;
	tc->levels = TABLES_ALL;
	for (unsigned i = 0; i < ARRAY_SIZE(tc->last_made); i++)
		tc->last_made[i].entry = NULL;
}

#ifdef CONFIG_DEBUG
static const struct mm *mm_of(const void *entry)
{
	const struct page *table = virt_to_page(entry);

	return table->kind == PAGE_TABLE ? table->table_mm : &init_mm;
}

/*
 * Until the commit others would find the old entries. A lock that was given back and taken again
 * serves another ticket.
 */
static void assert_still_locked(const struct table_changes *tc)
{
	ASSERT(links_may_change(tc->mm));
	ASSERT(tc->locked == lockdep_is_held(&tc->mm->page_table_lock));
	ASSERT(!tc->locked || tc->turn == READ_ONCE(tc->mm->page_table_lock.head));
}

static void note_lock(struct table_changes *tc, const void *entry)
{
	const struct mm *mm = mm_of(entry);

	if (!tc->n) {
		tc->mm = mm;
		tc->locked = lockdep_is_held(&mm->page_table_lock);
		tc->turn = READ_ONCE(mm->page_table_lock.head);
	}
	ASSERT(mm == tc->mm);
	assert_still_locked(tc);
}
#else
static void assert_still_locked(const struct table_changes *tc __unused) {}
static void note_lock(struct table_changes *tc __unused, const void *entry __unused) {}
#endif

void table_changes_commit(struct table_changes *tc)
{
	if (tc->n) {
		assert_still_locked(tc);
		pv_set_tables(tc->change, tc->n);
	}
	tc->n = 0;
}

void table_change(struct table_changes *tc, void *entry, u64 val)
{
	if (tc->n == TABLE_CHANGES_MAX)
		table_changes_commit(tc);
	note_lock(tc, entry);
	tc->change[tc->n++] = (struct table_change){entry, val};
}

#ifdef CONFIG_DEBUG
static void assert_not_pending(const struct table_changes *tc, const void *entry)
{
	for (unsigned i = 0; i < tc->n; i++)
		ASSERT(tc->change[i].entry != entry);
}
#else
static void assert_not_pending(const struct table_changes *tc __unused, const void *entry __unused)
{
}
#endif

/* What @entry links, or will link after the commit: a table of @level, made if need be; 0: no
 * memory. */
static u64 table_below(struct mm *mm, struct table_changes *tc, void *entry, unsigned level)
{
	struct table_change *last = &tc->last_made[level];
	u64 v = READ_ONCE(*(const u64 *)entry);
	struct page *table;

	if (v)
		return v;
	if (last->entry == entry)
		return last->val;
	assert_not_pending(tc, entry);
	table = table_alloc(mm, level);
	if (!table)
		return 0;
	*last = (struct table_change){entry, pgd_make(page_to_pfn(table), _PAGE_TABLE).v};
	table_change(tc, entry, last->val);
	return last->val;
}

/* Make what is missing below [addr, end); the three levels differ in types and names only. */
#define DEFINE_ALLOC_RANGE(lvl, LVL, below_level, alloc_below)                                     \
	static int alloc_##lvl##_range(struct mm *mm, struct table_changes *tc, lvl##_t *entry,    \
				       unsigned long addr, unsigned long end)                      \
	{                                                                                          \
		for (unsigned long next; addr != end; entry++, addr = next) {                      \
			lvl##_t e = {table_below(mm, tc, entry, below_level)};                     \
                                                                                                   \
			next = lvl##_addr_end(addr, end);                                          \
			if (lvl##_none(e) || alloc_below(mm, tc, e, addr, next))                   \
				return -ENOMEM;                                                    \
		}                                                                                  \
		return 0;                                                                          \
	}

static int alloc_below_pmd(struct mm *mm __unused, struct table_changes *tc __unused,
			   pmd_t e __unused, unsigned long addr __unused,
			   unsigned long end __unused)
{
	return 0;
}
DEFINE_ALLOC_RANGE(pmd, PMD, 1, alloc_below_pmd)

static int alloc_below_pud(struct mm *mm, struct table_changes *tc, pud_t e, unsigned long addr,
			   unsigned long end)
{
	return tc->levels == TABLES_UPPER ? 0
					  : alloc_pmd_range(mm, tc, pmd_offset(e, addr), addr, end);
}
DEFINE_ALLOC_RANGE(pud, PUD, 2, alloc_below_pud)

static int alloc_below_pgd(struct mm *mm, struct table_changes *tc, pgd_t e, unsigned long addr,
			   unsigned long end)
{
	return alloc_pud_range(mm, tc, pud_offset(e, addr), addr, end);
}
DEFINE_ALLOC_RANGE(pgd, PGD, 3, alloc_below_pgd)

int tables_prepare(struct mm *mm, struct table_changes *tc, unsigned long start, unsigned long end)
{
	lockdep_assert_held(&mm->page_table_lock);
	return alloc_pgd_range(mm, tc, pgd_offset(mm, start), start, end);
}

pmd_t *tables_prepare_upper(struct mm *mm, struct table_changes *tc, unsigned long addr)
{
	pgd_t pgd = {table_below(mm, tc, pgd_offset(mm, addr), 3)};
	pud_t pud;

	if (pgd_none(pgd))
		return NULL;
	pud.v = table_below(mm, tc, pud_offset(pgd, addr), 2);
	return pud_none(pud) ? NULL : pmd_offset(pud, addr);
}

static int alloc_range(struct mm *mm, unsigned long start, unsigned long end,
		       enum table_levels levels)
{
	struct table_changes tc;
	int err;

	table_changes_init(&tc);
	tc.levels = levels;
	spin_lock(&mm->page_table_lock);
	err = tables_prepare(mm, &tc, start, end);
	table_changes_commit(&tc);
	spin_unlock(&mm->page_table_lock);
	return err;
}

int tables_alloc(struct mm *mm, unsigned long start, unsigned long end)
{
	return alloc_range(mm, start, end, TABLES_ALL);
}

pmd_t *pmd_find(const struct mm *mm, unsigned long addr)
{
	pgd_t pgd = pgdp_get(pgd_offset(mm, addr));
	pud_t pud;

	if (pgd_none(pgd))
		return NULL;
	pud = pudp_get(pud_offset(pgd, addr));
	if (pud_none(pud))
		return NULL;
	return pmd_offset(pud, addr);
}

pmd_t *pmd_alloc_missing(struct mm *mm, unsigned long addr)
{
	if (tables_alloc(mm, addr & PAGE_MASK, (addr & PAGE_MASK) + PAGE_SIZE))
		return NULL;
	return pmd_find(mm, addr);
}

pmd_t *pmd_alloc_upper(struct mm *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_find(mm, addr);

	if (pmd || alloc_range(mm, addr, addr + PAGE_SIZE, TABLES_UPPER))
		return pmd;
	return pmd_find(mm, addr);
}

int kernel_map_prepare(unsigned long va)
{
	return pmd_alloc(&init_mm, va) ? 0 : -ENOMEM;
}
