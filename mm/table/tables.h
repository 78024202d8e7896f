/*
 * Page tables as objects, and the changes of upper-level entries that link them.
 *
 * An operation collects its changes in a struct table_changes on its stack and commits them in one
 * call. Until the commit nothing reads the entries but tables_prepare(), which looks there first.
 */
#pragma once

#include "mm/mm.h"
#include "mm/types/pgtable_types.h"

enum table_levels {
	TABLES_ALL,
	TABLES_UPPER, /* no PTE pages */
};

struct table_changes {
	unsigned n;
	enum table_levels levels; /* that tables_prepare() makes */
#ifdef CONFIG_DEBUG
	/* Since the first was collected: whose they are, and whose turn it is to hold that lock. */
	const struct mm *mm;
	bool locked;
	u16 turn;
#endif
	/* By level: the table made last, and the entry for it. */
	struct table_change last_made[4];
	struct table_change change[TABLE_CHANGES_MAX];
};

/* As {0}, but the changes are not cleared. */
void table_changes_init(struct table_changes *tc);
/*
 * Collect: *@entry, of level 2 or above, becomes @val. All are entries of one mm, whose
 * page_table_lock is held without a break until the commit, which asserts it; not for an mm that
 * nobody else sees.
 */
void table_change(struct table_changes *tc, void *entry, u64 val);
/*
 * Make the changes that were collected, in one call of the backend; @tc is empty then. Without
 * changes the lock is not asked for.
 */
void table_changes_commit(struct table_changes *tc);

/* An empty table of @level; NULL: no memory. Level 4 has the kernel's half. */
struct page *table_alloc(struct mm *mm, unsigned level);
/* An empty PTE page for plain stores, which no backend knows: mm/range/whole_table.h; NULL: no
 * memory. */
struct page *plain_table_alloc(struct mm *mm);
/* The same, for who stores all of its entries. */
struct page *plain_table_alloc_uncleared(struct mm *mm);
/*
 * @page is a table that nobody links and whose lock nobody holds; it goes to the reserve, or to the
 * free pages.
 */
void table_free(struct page *page);

/*
 * Make every table that [start, end) of @mm lacks, and collect the links. -ENOMEM: what
 * was made is collected all the same. page_table_lock is held until the commit, to which ranges
 * come in ascending order.
 */
int tables_prepare(struct mm *mm, struct table_changes *tc, unsigned long start, unsigned long end);
/*
 * The same above the PTE page of @addr alone: where that is, or will be, linked. NULL: no memory.
 */
pmd_t *tables_prepare_upper(struct mm *mm, struct table_changes *tc, unsigned long addr);
/* The same, with the commit; -ENOMEM. Takes page_table_lock. */
int tables_alloc(struct mm *mm, unsigned long start, unsigned long end);

/* The L2 entry of @addr, or NULL if there is no table for it. */
pmd_t *pmd_find(const struct mm *mm, unsigned long addr);
/* What pmd_alloc() does where there is no PTE page. */
pmd_t *pmd_alloc_missing(struct mm *mm, unsigned long addr);
/* The L2 entry of @addr, which links a PTE page: tables are made; NULL: no memory. */
static inline pmd_t *pmd_alloc(struct mm *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_find(mm, addr);

	return likely(pmd && READ_ONCE(pmd->v)) ? pmd : pmd_alloc_missing(mm, addr);
}

/* The L2 entry of page @addr, whether it links a PTE page or not; NULL: no memory. */
pmd_t *pmd_alloc_upper(struct mm *mm, unsigned long addr);

/* Make the tables for the kernel page @va, in init_mm and so in every mm. -ENOMEM. */
int kernel_map_prepare(unsigned long va);
