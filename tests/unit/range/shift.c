/*
 * Suite `shift`: tables that are taken out, so that their entries change their indices.
 *
 * Oracle: what pages hold at their new places, what an audit finds there, which table serves them,
 * how many entries were changed one by one, and what the history of a page says.
 */
#include "mm/range/shift.h"
#include "mm/table/page_history.h"

#include "kernel/arch/io.h"
#include "kernel/debug/counters.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "mm/range/whole_table.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define TARGET 0x80000000UL
#define PAGES 100 /* that are used of a table */
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define FLAGS_REMAP (MREMAP_MAYMOVE | MREMAP_FIXED)
#define FIRST 255			/* pages of a table go to one image ... */
#define ODD ((512 - FIRST) * PAGE_SIZE) /* ... at this distance, the others to the next */

static struct mm *mm;
static s64 tables; /* before */

/* False: the case is skipped. */
static bool setup(struct ktest *t)
{
	if (!whole_tables_enabled) {
		ktest_skip(t, "tables are changed by their entries");
		return false;
	}
	tables = page_kind_count(PAGE_TABLE);
	mm = test_mm_enter();
	return true;
}

static void teardown(struct ktest *t)
{
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

static void map(struct ktest *t, unsigned long addr, unsigned long len)
{
	KEXPECT_EQ(t, do_mmap(addr, len, RW, ANON, NULL, 0), addr);
}

static void write_pages(struct ktest *t, unsigned long base)
{
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT_EQ(t, put_user32(base + i * PAGE_SIZE, 1000 + i), 0);
}

static void check_pages(struct ktest *t, unsigned long base)
{
	for (unsigned i = 0; i < PAGES; i++) {
		u32 v = 0;

		KEXPECT_EQ(t, get_user32(base + i * PAGE_SIZE, &v), 0);
		KEXPECT_EQ(t, v, 1000 + i);
	}
}

static struct page *table_of(unsigned long addr)
{
	return pfn_to_page(pmd_pfn(*pmd_find(mm, addr)));
}

static void move(struct ktest *t, unsigned long from, unsigned long len, unsigned long to)
{
	KEXPECT_EQ(t, do_mremap(from, len, len, FLAGS_REMAP, to), (long)to);
}

/* Where an image ends, and where the next one would begin. */
static void an_image_ends_with_its_table(struct ktest *t)
{
	const unsigned long len = 2 * PAGES * PAGE_SIZE, to = TARGET + PMD_SIZE - len;
	u64 filled = counter_sum(CNT_TABLES_FILLED);

	if (!setup(t))
		return;
	map(t, ADDR, len);
	write_pages(t, ADDR);
	move(t, ADDR, len, to);
	check_pages(t, to);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_FILLED), filled + 1);
	KEXPECT(t, !pmd_find(mm, TARGET + PMD_SIZE) || pmd_none(*pmd_find(mm, TARGET + PMD_SIZE)));
	teardown(t);
}

/* What the table held where the image has nothing is not left there. */
static void nothing_stays_behind_the_image(struct ktest *t)
{
	const unsigned long len = 2 * PAGES * PAGE_SIZE, from = ADDR + PMD_SIZE - len;
	const pte_t *entries;

	if (!setup(t))
		return;
	map(t, from, len);
	write_pages(t, from + PAGES * PAGE_SIZE);
	move(t, from, len, TARGET);
	check_pages(t, TARGET + PAGES * PAGE_SIZE);
	entries = pte_offset(*pmd_find(mm, TARGET), 0);
	for (unsigned i = 2 * PAGES; i < PTRS_PER_TABLE; i++)
		KEXPECT_EQ(t, entries[i].v, 0);
	teardown(t);
}

/*
 * What one table leaves to an image the next one completes, without a section; and all of them are
 * taken out with one invalidation.
 */
static void neighbours_share_an_image(struct ktest *t)
{
	const unsigned long len = 3 * PMD_SIZE;
	u64 updates, flushes;

	if (!setup(t))
		return;
	map(t, ADDR, len);
	for (unsigned i = 0; i < 3; i++)
		write_pages(t, ADDR + i * PMD_SIZE + (FIRST - PAGES / 2) * PAGE_SIZE);
	updates = counter_sum(CNT_PTE_UPDATES);
	flushes = counter_sum(CNT_TLB_FLUSHES);
	move(t, ADDR, len, TARGET + ODD);
	KEXPECT_EQ(t, counter_sum(CNT_PTE_UPDATES), updates);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES), flushes + 2); /* one is of the unmapping */
	for (unsigned i = 0; i < 3; i++)
		check_pages(t, TARGET + (i + 1) * PMD_SIZE - PAGES / 2 * PAGE_SIZE);
	teardown(t);
}

/* Between two tables that are taken out one goes by its entries, and shares images with both. */
static void a_sparse_table_lies_between(struct ktest *t)
{
	const unsigned long middle = ADDR + PMD_SIZE;
	const unsigned long pages[] = {middle + (FIRST - 1) * PAGE_SIZE,
				       middle + FIRST * PAGE_SIZE};
	u64 shifted = counter_sum(CNT_TABLES_SHIFTED);
	u32 v = ~0u;

	if (!setup(t))
		return;
	map(t, ADDR, 3 * PMD_SIZE);
	write_pages(t, middle - PAGES * PAGE_SIZE);
	write_pages(t, middle + PMD_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		KEXPECT_EQ(t, put_user32(pages[i], i), 0);
	move(t, ADDR, 3 * PMD_SIZE, TARGET + ODD);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_SHIFTED), shifted + 2);
	check_pages(t, TARGET + ODD + PMD_SIZE - PAGES * PAGE_SIZE);
	check_pages(t, TARGET + ODD + 2 * PMD_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		KEXPECT_EQ(t, get_user32(pages[i] - ADDR + TARGET + ODD, &v), 0);
		KEXPECT_EQ(t, v, i);
	}
	teardown(t);
}

/* What the first pass has said of a table counts for one move only. */
static void a_move_that_failed_is_forgotten(struct ktest *t)
{
	u64 shifted = counter_sum(CNT_TABLES_SHIFTED);
	u32 v = 0;

	if (!setup(t))
		return;
	map(t, ADDR, PMD_SIZE);
	write_pages(t, ADDR);
	alloc_page_fail_after(2); /* behind the VMA */
	KEXPECT_EQ(t, do_mremap(ADDR, PMD_SIZE, PMD_SIZE, FLAGS_REMAP, TARGET + ODD), -ENOMEM);
	alloc_page_fail_after(0);
	KEXPECT(t, is_shifted(*pmd_find(mm, ADDR)));
	KEXPECT_EQ(t, do_madvise(ADDR + PAGE_SIZE, PMD_SIZE - PAGE_SIZE, MADV_DONTNEED), 0);
	move(t, ADDR, PMD_SIZE, TARGET + ODD); /* one entry, not worth a table */
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_SHIFTED), shifted);
	KEXPECT_EQ(t, get_user32(TARGET + ODD, &v), 0);
	KEXPECT_EQ(t, v, 1000);
	teardown(t);
}

/* --- somebody else is faster --- */

/* The two passes over full tables from ADDR on; the last image stays open. */
static void take_out(struct ktest *t, struct shift *s)
{
	shift_init(s, mm);
	for (unsigned i = 0; i < SHIFT_TABLES_MAX; i++) {
		unsigned long addr = ADDR + i * PMD_SIZE, new = TARGET + ODD + i *PMD_SIZE;

		KEXPECT(t, pmd_alloc_upper(mm, new + PMD_SIZE));
		KEXPECT_EQ(t, shift_reserve(s, *pmd_alloc(mm, addr), new, PMD_SIZE), 0);
	}
	for (unsigned i = 0; i < SHIFT_TABLES_MAX; i++) {
		unsigned long addr = ADDR + i * PMD_SIZE, new = TARGET + ODD + i *PMD_SIZE;

		shift_table(s, (struct shifted){pmd_find(mm, addr), addr, new, PMD_SIZE});
	}
}

/* A neighbour of the new place makes a table before the image is linked. */
static void a_table_comes_before_the_image(struct ktest *t)
{
	const unsigned long len = SHIFT_TABLES_MAX * PMD_SIZE, last = TARGET + len;
	struct page *table;
	struct shift s;

	if (!setup(t))
		return;
	map(t, ADDR, len);
	map(t, TARGET + ODD, len);
	write_pages(t, ADDR + len - PMD_SIZE + FIRST * PAGE_SIZE);
	mmap_write_lock(mm);
	take_out(t, &s);
	KEXPECT(t, s.image && s.block == last && pmd_alloc(mm, last));
	table = table_of(last);
	KEXPECT(t, table != s.image);
	shift_finish(&s);
	mmap_write_unlock(mm);
	KEXPECT(t, table_of(last) == table);
	check_pages(t, last);
	teardown(t);
}

/* --- the history --- */

#ifdef CONFIG_DEBUG
/* In the history of the page at @addr; what is older than @begin is the frame's former life. */
static unsigned events(unsigned long addr, enum trace_kind kind, u64 begin)
{
	struct trace_event e[32];
	unsigned found = 0;

	for (unsigned n = page_history_collect(mm, addr, e, ARRAY_SIZE(e)); n--;)
		found += e[n].kind == kind && e[n].when >= begin;
	return found;
}

/* The entry left, and came; of a page that was not mapped nothing is told. */
static void each_page_has_its_history(struct ktest *t)
{
	const unsigned long len = 2 * PAGES * PAGE_SIZE;
	const unsigned long last = TARGET + ODD + len - PAGE_SIZE;
	u64 begin = rdtsc();

	if (!setup(t))
		return;
	map(t, ADDR, len);
	write_pages(t, ADDR);
	move(t, ADDR, len, TARGET + ODD);
	KEXPECT_EQ(t, events(TARGET + ODD, TRACE_CLEAR, begin), 1);
	KEXPECT_EQ(t, events(TARGET + ODD, TRACE_SET, begin), 2); /* the fault's, and this one */
	KEXPECT_EQ(t, events(last, TRACE_CLEAR, begin) + events(last, TRACE_SET, begin), 0);
	teardown(t);
}
#else
static void each_page_has_its_history(struct ktest *t)
{
	ktest_skip(t, "a release build records nothing");
}
#endif

static const struct ktest_case cases[] = {
	{"an_image_ends_with_its_table", an_image_ends_with_its_table},
	{"nothing_stays_behind_the_image", nothing_stays_behind_the_image},
	{"neighbours_share_an_image", neighbours_share_an_image},
	{"a_sparse_table_lies_between", a_sparse_table_lies_between},
	{"a_move_that_failed_is_forgotten", a_move_that_failed_is_forgotten},
	{"a_table_comes_before_the_image", a_table_comes_before_the_image},
	{"each_page_has_its_history", each_page_has_its_history},
};
KTEST_SUITE(shift_suite, "shift", "entries that change their indices with their table", true,
	    cases);
