/*
 * Suite `links`: tables are made, linked in one call, and kept for the next user.
 *
 * Oracle: what the upper level holds before and after the commit, and whenever the lock is free;
 * what lies behind the collected changes; how many tables wait in the reserve; that the ledger of
 * owed invalidations holds nothing when all parts of one were made.
 */
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "mm/lazy/tlb.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define TABLES (TABLE_CHANGES_MAX + 8)

static struct mm *mm;

/* The L2 entries of TABLES tables that are not there. */
static pmd_t *enter(void)
{
	pmd_t *pmd;

	mm = test_mm_enter();
	pmd = pmd_alloc_upper(mm, ADDR);
	BUG_ON(!pmd);
	return pmd;
}

static void leave(void)
{
	test_free_tables(mm, ADDR, ADDR + TABLES * PMD_SIZE);
	test_mm_leave(mm);
}

static unsigned linked(const pmd_t *pmd)
{
	unsigned n = 0;

	for (unsigned i = 0; i < TABLES; i++)
		n += !pmd_none(pmd[i]);
	return n;
}

static void prepare(struct ktest *t, struct table_changes *tc, unsigned first, unsigned end)
{
	KEXPECT_EQ(t, tables_prepare(mm, tc, ADDR + first * PMD_SIZE, ADDR + end * PMD_SIZE), 0);
}

/* Of what was there before table_changes_init() nothing counts. */
static void links_come_with_the_commit(struct ktest *t)
{
	const pmd_t *pmd = enter();
	struct table_changes tc;

	for (unsigned i = 0; i < ARRAY_SIZE(tc.last_made); i++)
		tc.last_made[i] = (struct table_change){(void *)pmd, 1};
	table_changes_init(&tc);
	spin_lock(&mm->page_table_lock);
	prepare(t, &tc, 0, 3);
	prepare(t, &tc, 2, 3); /* pending: not made twice */
	KEXPECT_EQ(t, linked(pmd), 0);
	table_changes_commit(&tc);
	KEXPECT_EQ(t, linked(pmd), 3);
	spin_unlock(&mm->page_table_lock);
	for (unsigned i = 0; i < 3; i++)
		KEXPECT(t, pfn_to_page(pmd_pfn(pmd[i]))->kind == PAGE_TABLE);
	leave();
}

static void many_links_come_in_parts(struct ktest *t)
{
	const pmd_t *pmd = enter();
	struct {
		struct table_changes tc;
		u64 behind[4];
	} s;

	memset(&s, 0xa5, sizeof(s));
	table_changes_init(&s.tc);
	spin_lock(&mm->page_table_lock);
	prepare(t, &s.tc, 0, TABLES);
	KEXPECT_EQ(t, linked(pmd), TABLE_CHANGES_MAX);
	table_changes_commit(&s.tc);
	KEXPECT_EQ(t, linked(pmd), TABLES);
	spin_unlock(&mm->page_table_lock);
	for (unsigned i = 0; i < ARRAY_SIZE(s.behind); i++)
		KEXPECT_EQ(t, s.behind[i], 0xa5a5a5a5a5a5a5a5);
	leave();
}

static struct {
	const struct task *by;
	const pmd_t *pmd;
	bool was_locked, seen, wrong;
} watched;

/* Who waits for the lock must find the link. */
static void look_at_the_link(struct pt_regs *regs __unused)
{
	bool locked = spin_is_locked(&mm->page_table_lock);

	if (current != watched.by)
		return;
	if (watched.was_locked && !locked) {
		watched.seen = true;
		watched.wrong = pmd_none(pmdp_get(watched.pmd));
	}
	watched.was_locked = locked;
}

static void a_link_is_made_under_the_lock(struct ktest *t)
{
	watched.pmd = enter();
	watched.by = current;
	watched.was_locked = watched.seen = watched.wrong = false;
	set_step_hook(look_at_the_link);
	step_begin();
	pmd_alloc(mm, ADDR);
	step_end();
	set_step_hook(NULL);
	KEXPECT(t, watched.seen && !watched.wrong);
	leave();
}

/* Upper levels alone, if no more is asked for. */
static void upper_levels_link_no_pte_page(struct ktest *t)
{
	const pmd_t *pmd = enter();

	KEXPECT_EQ(t, linked(pmd), 0);
	KEXPECT(t, pmd_alloc(mm, ADDR) == pmd && pmd_alloc_upper(mm, ADDR) == pmd);
	KEXPECT_EQ(t, linked(pmd), 1);
	leave();
}

/* Make a table and give it back; what the reserve has less in between, and then. */
static void expect_taken(struct ktest *t, struct mm *of, s64 taken)
{
	s64 kept = page_kind_count(PAGE_TABLE_RESERVE);
	struct page *table = table_alloc(of, 1);

	BUG_ON(!table);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE_RESERVE), kept - taken);
	table_free(table);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE_RESERVE), kept);
}

static void empty_tables_are_kept(struct ktest *t)
{
	if (!pv_table_costs.reserve_max) {
		ktest_skip(t, "there is no reserve");
		return;
	}
	mm = test_mm_enter();
	table_free(table_alloc(mm, 1)); /* now there is one, or it is full */
	expect_taken(t, mm, 1);
	expect_taken(t, &init_mm, 0);
	test_mm_leave(mm);
}

/* Where each needs more than memory they run out: the L4 table that is of no use is given back. */
static void address_spaces_run_out(struct ktest *t)
{
	static struct mm *mms[1000];
	const s64 tables = page_kind_count(PAGE_TABLE);
	unsigned n = 0;

	while (n < ARRAY_SIZE(mms) && (mms[n] = mm_alloc()))
		n++;
	KEXPECT(t, n > 100);
	while (n)
		mm_put(mms[--n]);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

static void set_link(pmd_t *pmd, u64 val)
{
	pv_set_tables(&(struct table_change){pmd, val}, 1);
}

/* A link loses a right. What the ledger then holds is paid from both ends, and from within. */
static void a_debt_is_paid_in_parts(struct ktest *t)
{
	struct spinlock *ptl;
	pte_t *table;
	pmd_t *pmd;

	mm = test_mm_enter();
	pmd = test_pte_page(mm, ADDR);
	table = pte_offset_map_lock(pmd, ADDR, &ptl);
	set_link(pmd, pmd->v & ~_PAGE_RW);
	flush_tlb_range(mm, ADDR, ADDR + PAGE_SIZE);
	flush_tlb_range(mm, ADDR + PMD_SIZE - PAGE_SIZE, ADDR + PMD_SIZE);
	flush_tlb_range(mm, ADDR + PAGE_SIZE, ADDR + PMD_SIZE - PAGE_SIZE);
	pte_unmap_unlock(table, ptl); /* panics if any of it is owed */
	table = pte_offset_map_lock(pmd, ADDR, &ptl);
	set_link(pmd, pmd->v | _PAGE_RW);
	pte_unmap_unlock(table, ptl);
	KEXPECT(t, pmd->v & _PAGE_RW);
	test_free_tables(mm, ADDR, ADDR + PMD_SIZE);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"links_come_with_the_commit", links_come_with_the_commit},
	{"many_links_come_in_parts", many_links_come_in_parts},
	{"a_link_is_made_under_the_lock", a_link_is_made_under_the_lock},
	{"upper_levels_link_no_pte_page", upper_levels_link_no_pte_page},
	{"a_debt_is_paid_in_parts", a_debt_is_paid_in_parts},
	{"empty_tables_are_kept", empty_tables_are_kept},
	{"address_spaces_run_out", address_spaces_run_out},
};
KTEST_SUITE(links_suite, "links", "page tables are made, linked and kept", true, cases);
