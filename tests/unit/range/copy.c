/*
 * Suite `copy`: which page tables fork fills before it links them, and what it copies.
 *
 * Oracle: the number of tables that were filled, at the bounds of what pv_table_costs says; the
 * contents of the child, and an audit. Concurrency is the stress suite `fork`.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/uaccess.h"
#include "mm/range/fault.h"
#include "mm/range/whole_table.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static struct mm *mm;

static void enter(struct ktest *t, unsigned long addr, unsigned long len)
{
	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(addr, len, RW, ANON, NULL, 0), addr);
}

/*
 * @n pages, and no others, from the @first on of what begins at @addr. Each begins with a line that
 * looks like entries.
 */
static void use(struct ktest *t, unsigned long addr, unsigned first, unsigned n)
{
	bool neighbours = fault_neighbours_enabled;

	fault_neighbours_enabled = false;
	for (unsigned i = first; i < first + n; i++)
		for (unsigned at = 0; at < PTES_PER_LINE * sizeof(pte_t); at += sizeof(pte_t))
			KEXPECT_EQ(t, put_user32(addr + i * PAGE_SIZE + at, 1000 + i), 0);
	fault_neighbours_enabled = neighbours;
}

static u32 word(unsigned long addr)
{
	u32 v = ~0u;

	return get_user32(addr, &v) ? ~0u : v;
}

static void check(struct ktest *t, unsigned long addr, unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++)
		KEXPECT_EQ(t, word(addr + i * PAGE_SIZE), 1000 + i);
}

/* How many tables a fork fills. */
static u64 filled_by_fork(struct ktest *t)
{
	u64 before = counter_sum(CNT_TABLES_FILLED);
	struct mm *child = mm_fork(mm);

	KEXPECT(t, child);
	before = counter_sum(CNT_TABLES_FILLED) - before;
	KEXPECT_EQ(t, audit_all(), 0);
	mm_put(child);
	return before;
}

static bool is_off(struct ktest *t)
{
	if (!whole_tables_enabled)
		ktest_skip(t, "tables are changed by their entries");
	return !whole_tables_enabled;
}

static void few_pages_are_copied_one_by_one(struct ktest *t)
{
	const unsigned enough = pv_table_costs.fill_min;

	if (is_off(t))
		return;
	for (unsigned n = enough - 1; n <= enough; n++) {
		enter(t, ADDR, n * PAGE_SIZE);
		use(t, ADDR, 0, n);
		KEXPECT_EQ(t, filled_by_fork(t), n == enough);
		test_mm_leave(mm);
	}
}

/* Those of every fourth line stand for all; the page behind such a line is not one of them. */
static void lines_are_an_estimate(struct ktest *t)
{
	const unsigned enough = (pv_table_costs.fill_min + 3) / 4;

	if (is_off(t))
		return;
	enter(t, ADDR, PMD_SIZE);
	use(t, ADDR, 0, enough - 1);
	use(t, ADDR, PTES_PER_LINE, 1);
	KEXPECT_EQ(t, filled_by_fork(t), 0);
	use(t, ADDR, enough - 1, 1);
	KEXPECT_EQ(t, filled_by_fork(t), 1);
	test_mm_leave(mm);
}

/* Pages that look like tables may lie behind their tables in memory: they do not count. */
static void an_estimate_ends_with_the_table(struct ktest *t)
{
	const unsigned n = 4;

	if (is_off(t))
		return;
	enter(t, ADDR, n * PMD_SIZE);
	for (unsigned i = 0; i < n; i++)
		use(t, ADDR + i * PMD_SIZE, PTES_PER_LINE, 3 * PTES_PER_LINE);
	KEXPECT_EQ(t, filled_by_fork(t), 0);
	test_mm_leave(mm);
}

/* VMAs that end within a table: what one of them has is copied once. */
static void each_entry_is_copied_once(struct ktest *t)
{
	struct mm *child;

	enter(t, ADDR, PMD_SIZE);
	use(t, ADDR, 0, 64);
	use(t, ADDR, PTRS_PER_TABLE - 64, 64);
	KEXPECT_EQ(t, do_mprotect(ADDR + 10 * PAGE_SIZE, 20 * PAGE_SIZE, PROT_READ), 0);
	child = mm_fork(mm);
	KEXPECT(t, child);
	KEXPECT_EQ(t, audit_all(), 0);
	mm_use(child);
	check(t, ADDR, 0, 64);
	check(t, ADDR, PTRS_PER_TABLE - 64, 64);
	mm_use(mm);
	mm_put(child);
	test_mm_leave(mm);
}

/* Shared memory first, then private: the child's entry of the one may permit writing. */
static void each_vma_loses_its_own(struct ktest *t)
{
	static const unsigned used[] = {1, 64};

	for (unsigned k = 0; k < ARRAY_SIZE(used); k++) {
		const unsigned n = used[k];
		const unsigned long private = ADDR + n * PAGE_SIZE;
		struct mm *child;

		enter(t, ADDR, 2 * n * PAGE_SIZE);
		KEXPECT_EQ(t,
			   do_mmap(ADDR, n * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				   NULL, 0),
			   ADDR);
		use(t, ADDR, 0, 2 * n);
		child = mm_fork(mm);
		KEXPECT(t, child);
		KEXPECT_EQ(t, audit_all(), 0);
		mm_use(child);
		check(t, ADDR, 0, 2 * n);
		KEXPECT_EQ(t, put_user32(ADDR, 7), 0);
		KEXPECT_EQ(t, put_user32(private, 8), 0);
		mm_use(mm);
		KEXPECT_EQ(t, word(ADDR), 7);
		KEXPECT_EQ(t, word(private), 1000 + n);
		mm_put(child);
		test_mm_leave(mm);
	}
}

/* What is mapped around it is copied, and fills the table. */
static void what_is_left_out_is_not_copied(struct ktest *t)
{
	static const unsigned used[] = {1, 64};
	static const int advice[] = {MADV_DONTFORK, MADV_WIPEONFORK};

	for (unsigned k = 0; k < ARRAY_SIZE(used) * ARRAY_SIZE(advice); k++) {
		const unsigned n = used[k % 2], wiped = k / 2;
		struct mm *child;

		enter(t, ADDR, 3 * n * PAGE_SIZE);
		use(t, ADDR, 0, 3 * n);
		KEXPECT_EQ(t, do_madvise(ADDR + n * PAGE_SIZE, n * PAGE_SIZE, advice[wiped]), 0);
		child = mm_fork(mm);
		KEXPECT(t, child);
		KEXPECT_EQ(t, audit_all(), 0);
		mm_use(child);
		check(t, ADDR, 0, n);
		KEXPECT_EQ(t, word(ADDR + n * PAGE_SIZE), wiped ? 0 : ~0u);
		check(t, ADDR, 2 * n, n);
		mm_use(mm);
		check(t, ADDR, 0, 3 * n);
		mm_put(child);
		test_mm_leave(mm);
	}
}

/* Pages at each distance from each other, which a scan for entries in use must not skip. */
static void no_distance_hides_a_page(struct ktest *t)
{
	const unsigned furthest = 2 * PTES_PER_LINE + 1;

	for (unsigned dense = 0; dense <= 1; dense++) {
		struct mm *child;
		unsigned at = 0;

		enter(t, ADDR, PMD_SIZE);
		for (unsigned d = 1; d <= furthest; at += d++)
			use(t, ADDR, at, 1);
		if (dense)
			use(t, ADDR, at, PTRS_PER_TABLE - at);
		child = mm_fork(mm);
		KEXPECT(t, child);
		mm_use(child);
		at = 0;
		for (unsigned d = 1; d <= furthest; at += d++)
			check(t, ADDR, at, 1);
		mm_use(mm);
		mm_put(child);
		test_mm_leave(mm);
	}
}

/*
 * Of a table that is copied by its entries: what was written lies in one line, and the last line
 * holds nothing to protect. The parent's CPU forgets that it may write all the same.
 */
static void what_any_line_lost_is_flushed(struct ktest *t)
{
	struct mm *child;
	u32 v = 0;

	enter(t, ADDR, PMD_SIZE);
	KEXPECT_EQ(t, get_user32(ADDR + 2 * PTES_PER_LINE * PAGE_SIZE, &v), 0);
	use(t, ADDR, PTES_PER_LINE, 1);
	child = mm_fork(mm);
	KEXPECT(t, child);
	KEXPECT_EQ(t, put_user32(ADDR + PTES_PER_LINE * PAGE_SIZE, 7), 0);
	mm_use(child);
	check(t, ADDR, PTES_PER_LINE, 1);
	mm_use(mm);
	mm_put(child);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"few_pages_are_copied_one_by_one", few_pages_are_copied_one_by_one},
	{"lines_are_an_estimate", lines_are_an_estimate},
	{"an_estimate_ends_with_the_table", an_estimate_ends_with_the_table},
	{"each_entry_is_copied_once", each_entry_is_copied_once},
	{"each_vma_loses_its_own", each_vma_loses_its_own},
	{"what_is_left_out_is_not_copied", what_is_left_out_is_not_copied},
	{"no_distance_hides_a_page", no_distance_hides_a_page},
	{"what_any_line_lost_is_flushed", what_any_line_lost_is_flushed},
};
KTEST_SUITE(copy_suite, "copy", "the tables that fork fills, and those that it does not", true,
	    cases);
