/*
 * Suite `fork_learns`: what fork expects of a table, by what followed the last fork.
 *
 * Oracle: which entries and L2 entries permit writing, what parent and child read, that no D bit is
 * lost, and an audit; when memory runs out in the middle, too. Concurrency is the stress suite
 * `fork`.
 */
#include "kernel/entry/traps.h"
#include "kernel/lib/errno.h"
#include "mm/range/whole_table.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"
#include "tests/unit/lib/test_table.h"

#define ADDR 0x40000000UL
#define PAGES TEST_TABLE_PAGES
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static struct mm *mm;

/* A table, all of whose pages are written. False: the case is skipped. */
static bool setup(struct ktest *t)
{
	if (!whole_tables_enabled) {
		ktest_skip(t, "tables are changed by their entries");
		return false;
	}
	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(ADDR, PMD_SIZE, RW, ANON, NULL, 0), ADDR);
	write_pages(t, ADDR, 1000);
	return true;
}

static void teardown(struct ktest *t)
{
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

/* One page is written while a child lives. */
static void write_beside_a_child(struct ktest *t)
{
	struct mm *child = mm_fork(mm);

	BUG_ON(!child);
	KEXPECT_EQ(t, put_user32(ADDR, 2000), 0);
	mm_put(child);
}

/*
 * Where a hypervisor owns the tables: what was written beside the last child loses its right alone
 * at the next fork, and what was written after it with all others.
 */
static void fork_goes_by_what_was_written(struct ktest *t)
{
	struct mm *child;

	if (!setup(t))
		return;
	write_beside_a_child(t);
	child = mm_fork(mm);
	BUG_ON(!child);
	KEXPECT_EQ(t, pmd_write(*pmd_find(mm, ADDR)), pv_owns_tables);
	KEXPECT(t, !pv_owns_tables || !pte_write(entry(ADDR)));
	KEXPECT(t, !pv_owns_tables || !(table_of(ADDR)->pg_flags & PG_SHARED_BELOW));
	KEXPECT_EQ(t, audit_all(), 0);
	mm_use(child);
	KEXPECT_EQ(t, word(ADDR), 2000);
	mm_use(mm);
	mm_put(child);
	KEXPECT_EQ(t, put_user32(ADDR, 3000), 0);
	child = mm_fork(mm);
	BUG_ON(!child);
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT_EQ(t, put_user32(ADDR, 4000), 0);
	mm_use(child);
	KEXPECT_EQ(t, word(ADDR), 3000);
	mm_use(mm);
	mm_put(child);
	teardown(t);
}

/* All pages are written beside a child, so the next fork expects the same. False: skipped. */
static bool setup_to_fork_again(struct ktest *t)
{
	struct mm *child;

	if (!pv_owns_tables) {
		ktest_skip(t, "tables are plain memory");
		return false;
	}
	if (!setup(t))
		return false;
	child = mm_fork(mm);
	BUG_ON(!child);
	write_pages(t, ADDR, 2000);
	mm_put(child);
	return true;
}

/* The parent has the right by its L2 entry, and no entry; D bits and pages stay; so do the child's. */
static void expect_copy(struct ktest *t, struct mm *child, const pte_t *before, u32 first)
{
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)));
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT(t, pte_dirty(before[i]) &&
				   entry(ADDR + i * PAGE_SIZE).v == pte_wrprotect(before[i]).v);
	KEXPECT_EQ(t, audit_all(), 0);
	KEXPECT_EQ(t, put_user32(ADDR, 7777), 0);
	KEXPECT(t, !pte_write(entry(ADDR + PAGE_SIZE)));
	mm_use(child);
	check_pages(t, ADDR, first);
	mm_use(mm);
}

static void fork_takes_the_right_in_a_copy(struct ktest *t)
{
	u64 swung, pushed;
	pte_t before[PAGES];
	struct page *table;
	struct mm *child;

	for (unsigned others = 0; others < 2 && setup_to_fork_again(t); others++) {
		for (unsigned i = 0; i < PAGES; i++)
			before[i] = entry(ADDR + i * PAGE_SIZE);
		table = table_of(ADDR);
		swung = counter_sum(CNT_TABLES_SWUNG);
		atomic_set(&mm->users, 1 + others); /* no fault of theirs is under way */
		child = mm_fork(mm);
		atomic_set(&mm->users, 1);
		BUG_ON(!child);
		KEXPECT_EQ(t, counter_sum(CNT_TABLES_SWUNG), swung + 1);
		KEXPECT(t, table_of(ADDR) != table && table->kind != PAGE_TABLE);
		pushed = counter_sum(CNT_TABLES_PUSHED_DOWN);
		expect_copy(t, child, before, 2000);
		KEXPECT_EQ(t, counter_sum(CNT_TABLES_PUSHED_DOWN), pushed);
		mm_put(child);
		teardown(t);
	}
}

/* Then it is left to the first write, as if nothing had been learned. */
static void fork_does_without_the_copy(struct ktest *t)
{
	struct mm *child;

	if (!setup_to_fork_again(t))
		return;
	alloc_page_fail_after(1);
	KEXPECT(t, !mm_fork(mm));
	alloc_page_fail_after(0);
	KEXPECT_EQ(t, audit_all(), 0);
	check_pages(t, ADDR, 2000);
	for (unsigned n = 2; n < 40; n++) {
		write_beside_a_child(t);
		write_pages(t, ADDR, 3000);
		alloc_page_fail_after(n);
		child = mm_fork(mm);
		alloc_page_fail_after(0);
		KEXPECT_EQ(t, audit_all(), 0);
		KEXPECT_EQ(t, word(ADDR + PAGE_SIZE), 3001);
		if (child)
			mm_put(child);
	}
	teardown(t);
}

/* Another table takes the place of the one that was forked, with all its pages written. */
static void map_anew(struct ktest *t)
{
	KEXPECT_EQ(t, do_munmap(ADDR, PMD_SIZE), 0);
	KEXPECT_EQ(t, do_mmap(ADDR, PMD_SIZE, RW, ANON, NULL, 0), ADDR);
	write_pages(t, ADDR, 1000);
}

static void fork_and_end(void)
{
	struct mm *child = mm_fork(mm);

	BUG_ON(!child);
	mm_put(child);
}

/* A table that no fork has seen is taken for one like the others. */
static void a_new_table_is_expected_to_be_like_others(struct ktest *t)
{
	if (!setup_to_fork_again(t))
		return;
	KEXPECT_EQ(t, do_munmap(ADDR, PMD_SIZE), 0);
	fork_and_end(); /* it shares no such table, so it teaches nothing */
	KEXPECT_EQ(t, do_mmap(ADDR, PMD_SIZE, RW, ANON, NULL, 0), ADDR);
	write_pages(t, ADDR, 1000);
	fork_and_end();
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && !pte_write(entry(ADDR)));
	map_anew(t);
	fork_and_end(); /* nothing was written beside the last child */
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	write_pages(t, ADDR, 2000);
	map_anew(t);
	fork_and_end();
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	teardown(t);
}

#define OTHER (ADDR + PMD_SIZE) /* a table beside that of ADDR */

static void map_other(struct ktest *t)
{
	KEXPECT_EQ(t, do_mmap(OTHER, PMD_SIZE, RW, ANON, NULL, 0), OTHER);
}

/* What a table has taught counts more than what others have. */
static void each_table_is_known_by_itself(struct ktest *t)
{
	struct mm *child;

	if (!setup_to_fork_again(t))
		return;
	map_other(t);
	write_pages(t, OTHER, 1000);
	child = mm_fork(mm); /* both are taken for tables to be written */
	BUG_ON(!child);
	write_pages(t, ADDR, 3000);
	mm_put(child);
	write_pages(t, OTHER, 3000); /* nobody shares it any more */
	fork_and_end();
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && !pte_write(entry(ADDR)));
	KEXPECT(t, !pmd_write(*pmd_find(mm, OTHER)) && pte_write(entry(OTHER)));
	teardown(t);
}

/* A write below a table that fork has not shared whole tells nothing of those that it shares. */
static void few_pages_teach_nothing(struct ktest *t)
{
	const unsigned long few =
		OTHER + PTES_PER_LINE * PAGE_SIZE; /* where fork's estimate sees none */
	struct mm *child;

	if (!setup_to_fork_again(t))
		return;
	write_pages(t, ADDR, 3000);
	map_other(t);
	KEXPECT_EQ(t, put_user32(few, 1), 0);
	child = mm_fork(mm);
	BUG_ON(!child);
	KEXPECT(t, !(table_of(OTHER)->pg_flags & PG_FORKED));
	KEXPECT_EQ(t, put_user32(few, 2), 0);
	mm_put(child);
	map_anew(t);
	fork_and_end();
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	teardown(t);
}

static struct {
	const struct task *by;
	bool protected, wrong;
	u64 steps;
} early;

/* Once the L2 entry has forbidden writing, no entry permits it any more, whichever table is linked. */
static void look_for_a_way_to_write(struct pt_regs *regs __unused)
{
	pmd_t pmd;

	if (current != early.by)
		return;
	early.steps++;
	pmd = pmdp_get(pmd_find(mm, ADDR));
	if (!pmd_write(pmd))
		early.protected = true;
	else if (early.protected && pte_write(entry(ADDR)))
		early.wrong = true;
}

/* Other threads may write while fork goes on. */
static void fork_opens_nothing_on_its_way(struct ktest *t)
{
	struct mm *child;

	if (!setup_to_fork_again(t))
		return;
	early.by = current;
	early.steps = 0;
	early.protected = early.wrong = false;
	set_step_hook(look_for_a_way_to_write);
	step_begin();
	child = mm_fork(mm);
	step_end();
	set_step_hook(NULL);
	BUG_ON(!child);
	KEXPECT(t, early.steps > PTRS_PER_TABLE && early.protected && !early.wrong);
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && !pte_write(entry(ADDR)));
	mm_put(child);
	teardown(t);
}

static const struct ktest_case cases[] = {
	{"fork_goes_by_what_was_written", fork_goes_by_what_was_written},
	{"fork_takes_the_right_in_a_copy", fork_takes_the_right_in_a_copy},
	{"fork_does_without_the_copy", fork_does_without_the_copy},
	{"a_new_table_is_expected_to_be_like_others", a_new_table_is_expected_to_be_like_others},
	{"each_table_is_known_by_itself", each_table_is_known_by_itself},
	{"few_pages_teach_nothing", few_pages_teach_nothing},
	{"fork_opens_nothing_on_its_way", fork_opens_nothing_on_its_way},
};
KTEST_SUITE(fork_learns_suite, "fork_learns", "what fork expects of a table", true, cases);
