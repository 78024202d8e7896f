/*
 * Suite `neighbours`: write faults that follow each other populate the pages that come next.
 *
 * Oracle: the number of faults, exactly, and which entries map something after them. What was there
 * already stays, no window passes the end of its VMA or of its PTE page, memory that runs out costs
 * the pages ahead and not the access, and an audit finds every reference.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/uaccess.h"
#include "mm/range/fault.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define PAGES 64
/* Windows of 1, 2, 4, 8, 16, 16, 16 pages, and one page is left. */
#define FAULTS_FOR_64 8

static struct mm *enter(struct ktest *t, unsigned long addr, unsigned pages)
{
	struct mm *mm = test_mm_enter();

	KEXPECT_EQ(t,
		   do_mmap(addr, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   addr);
	return mm;
}

static bool is_mapped(const struct mm *mm, unsigned long addr)
{
	const pmd_t *pmd = pmd_find(mm, addr);

	return pmd && !pmd_none(*pmd) && !pte_none(ptep_get(pte_offset(*pmd, addr)));
}

static unsigned mapped(const struct mm *mm, unsigned long addr, unsigned pages)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pages; i++)
		n += is_mapped(mm, addr + i * PAGE_SIZE);
	return n;
}

/* Write the number of each @step-th of @n pages to it; the faults that it took. */
static u64 write_pages(struct ktest *t, unsigned long addr, unsigned n, unsigned step)
{
	u64 before = counter_sum(CNT_PAGE_FAULTS);

	for (unsigned i = 0; i < n; i += step)
		KEXPECT_EQ(t, put_user32(addr + i * PAGE_SIZE, i), 0);
	return counter_sum(CNT_PAGE_FAULTS) - before;
}

static void windows_grow(struct ktest *t)
{
	struct mm *mm = enter(t, ADDR, PAGES);
	u32 v;

	KEXPECT_EQ(t, write_pages(t, ADDR, PAGES, 1), FAULTS_FOR_64);
	for (unsigned i = 0; i < PAGES; i++) {
		KEXPECT_EQ(t, get_user32(ADDR + i * PAGE_SIZE, &v), 0);
		KEXPECT_EQ(t, v, i);
		KEXPECT_EQ(t, get_user32(ADDR + i * PAGE_SIZE + 4, &v), 0);
		KEXPECT_EQ(t, v, 0);
	}
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

static void off_means_one(struct ktest *t)
{
	struct mm *mm = enter(t, ADDR, PAGES);

	fault_neighbours_enabled = false;
	KEXPECT_EQ(t, write_pages(t, ADDR, PAGES / 2, 1), PAGES / 2);
	KEXPECT_EQ(t, mapped(mm, ADDR, PAGES), PAGES / 2);
	fault_neighbours_enabled = true;
	test_mm_leave(mm);
}

static void others_stay_alone(struct ktest *t)
{
	struct mm *mm = enter(t, ADDR, PAGES);
	u32 v;

	KEXPECT_EQ(t, write_pages(t, ADDR, PAGES, 2), PAGES / 2);
	KEXPECT_EQ(t, mapped(mm, ADDR, PAGES), PAGES / 2);
	for (unsigned i = 1; i < PAGES; i += 2) /* the zero page */
		KEXPECT_EQ(t, get_user32(ADDR + i * PAGE_SIZE, &v), 0);
	KEXPECT_EQ(t, write_pages(t, ADDR, PAGES, 1), PAGES / 2);
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

/* The VMA ends after 20 pages, another one follows; and a PTE page ends after 10. */
static void windows_end(struct ktest *t)
{
	const unsigned long table_end = ADDR + PMD_SIZE, start = table_end - 10 * PAGE_SIZE;
	struct mm *mm = enter(t, ADDR, 20);

	do_mmap(ADDR + 20 * PAGE_SIZE, PAGE_SIZE, PROT_READ,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	KEXPECT_EQ(t, write_pages(t, ADDR, 16, 1), 5);
	KEXPECT_EQ(t, mapped(mm, ADDR, 20), 20);
	KEXPECT(t, !is_mapped(mm, ADDR + 20 * PAGE_SIZE));
	test_mm_leave(mm);

	mm = enter(t, start, 30);
	KEXPECT_EQ(t, write_pages(t, start, 8, 1), 4);
	KEXPECT_EQ(t, mapped(mm, start, 30), 10);
	KEXPECT_EQ(t, write_pages(t, start + 8 * PAGE_SIZE, 3, 1), 1);
	KEXPECT_EQ(t, mapped(mm, start, 30), 10 + 16);
	test_mm_leave(mm);
}

static void what_is_there_stays(struct ktest *t)
{
	struct mm *mm = enter(t, ADDR, PAGES);
	u32 v = 0;

	KEXPECT_EQ(t, put_user32(ADDR + 5 * PAGE_SIZE, 4711), 0);
	write_pages(t, ADDR, 5, 1);
	KEXPECT_EQ(t, mapped(mm, ADDR, 7), 7);
	KEXPECT_EQ(t, get_user32(ADDR + 5 * PAGE_SIZE, &v), 0);
	KEXPECT_EQ(t, v, 4711);
	test_mm_leave(mm);
}

/* Two more pages can be had: the window is cut short. Then none, and the access fails. */
static void memory_runs_out(struct ktest *t)
{
	struct mm *mm = enter(t, ADDR, PAGES);

	write_pages(t, ADDR, 7, 1);
	KEXPECT_EQ(t, mapped(mm, ADDR, PAGES), 7);
	alloc_page_fail_after(3);
	KEXPECT_EQ(t, write_pages(t, ADDR + 7 * PAGE_SIZE, 2, 1), 1);
	KEXPECT_EQ(t, mapped(mm, ADDR, PAGES), 9);
	KEXPECT(t, put_user32(ADDR + 9 * PAGE_SIZE, 1));
	alloc_page_fail_after(0);
	KEXPECT_EQ(t, write_pages(t, ADDR, 12, 1), 2); /* page 9, then 10 with 11 */
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"windows_grow", windows_grow},
	{"off_means_one", off_means_one},
	{"others_stay_alone", others_stay_alone},
	{"windows_end", windows_end},
	{"what_is_there_stays", what_is_there_stays},
	{"memory_runs_out", memory_runs_out},
};
KTEST_SUITE(neighbours_suite, "neighbours", "write faults that follow each other populate ahead",
	    true, cases);
