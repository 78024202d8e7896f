/*
 * Suite `walk`: which PTE pages a walk finds.
 *
 * A few tables lie side by side, apart, and at the ends of tables of each upper level. Oracle: from
 * any edge of any of them to any other, a walk visits those between, each once, in order, with the
 * part of the range that it covers; and ends at an error.
 */
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"

#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define BASE 0x30000000000UL /* at the beginning of an L3 table */
#define TABLES_OF_PUD PTRS_PER_TABLE
#define TABLES_OF_PGD (PTRS_PER_TABLE * PTRS_PER_TABLE)
#define EDGES 5

static const unsigned long places[] = {
	0,
	1,
	5,
	TABLES_OF_PUD - 1,
	TABLES_OF_PUD,
	TABLES_OF_PUD + 1,
	2 * TABLES_OF_PUD + 7,
	TABLES_OF_PGD - 1,
	TABLES_OF_PGD,
	TABLES_OF_PGD + 300,
};
static pmd_t *pmds[ARRAY_SIZE(places)];

struct visits {
	struct ktest *t;
	unsigned long start, end;
	unsigned next;	/* of the places */
	unsigned until; /* it ends with an error */
};

static unsigned long place_start(unsigned i)
{
	return BASE + places[i] * PMD_SIZE;
}

static void skip_places_before(struct visits *v)
{
	while (v->next < ARRAY_SIZE(places) && place_start(v->next) + PMD_SIZE <= v->start)
		v->next++;
}

static int visit(struct vma *vma __unused, pmd_t *pmd, unsigned long addr, unsigned long end,
		 void *arg)
{
	struct visits *v = arg;
	unsigned i = v->next++;

	KEXPECT(v->t, i < ARRAY_SIZE(places));
	if (i >= ARRAY_SIZE(places))
		return -1;
	KEXPECT(v->t, pmd == pmds[i]);
	KEXPECT_EQ(v->t, addr, max(v->start, place_start(i)));
	KEXPECT_EQ(v->t, end, min(v->end, place_start(i) + PMD_SIZE));
	return i == v->until ? -2 : 0;
}

static void check_walk(struct ktest *t, struct mm *mm, unsigned long start, unsigned long end)
{
	struct vma vma = {.start = start, .end = end, .mm = mm};
	struct visits v = {.t = t, .start = start, .end = end, .until = ~0u};

	skip_places_before(&v);
	mmap_read_lock(mm);
	KEXPECT_EQ(t, walk_pte_ranges(&vma, start, end, visit, &v), 0);
	mmap_read_unlock(mm);
	KEXPECT(t, v.next == ARRAY_SIZE(places) || place_start(v.next) >= end);
}

/* Before it, at it, inside, at its end, and in what follows. */
static unsigned long edge(unsigned n)
{
	static const long offsets[EDGES] = {-(long)PMD_SIZE, 0, 3 * PAGE_SIZE, PMD_SIZE,
					    2 * PMD_SIZE + PAGE_SIZE};

	return place_start(n / EDGES) + offsets[n % EDGES];
}

static struct mm *setup(void)
{
	struct mm *mm = test_mm_enter();

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++)
		pmds[i] = test_pte_page(mm, place_start(i));
	return mm;
}

static void teardown(struct mm *mm)
{
	test_free_tables(mm, BASE, BASE + (2UL << PGD_SHIFT));
	test_mm_leave(mm);
}

static void visits_each_table_between(struct ktest *t)
{
	struct mm *mm = setup();

	for (unsigned from = 0; from < EDGES * ARRAY_SIZE(places); from++)
		for (unsigned to = 0; to < EDGES * ARRAY_SIZE(places); to++)
			if (edge(from) < edge(to))
				check_walk(t, mm, edge(from), edge(to));
	teardown(mm);
}

static void ends_at_an_error(struct ktest *t)
{
	struct mm *mm = setup();
	struct vma vma = {.mm = mm};
	const unsigned long end = BASE + (2UL << PGD_SHIFT);

	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		struct visits v = {.t = t, .start = BASE, .end = end, .until = i};

		mmap_read_lock(mm);
		KEXPECT_EQ(t, walk_pte_ranges(&vma, BASE, end, visit, &v), -2);
		mmap_read_unlock(mm);
		KEXPECT_EQ(t, v.next, i + 1);
	}
	teardown(mm);
}

static const struct ktest_case cases[] = {
	{"visits_each_table_between", visits_each_table_between},
	{"ends_at_an_error", ends_at_an_error},
};
KTEST_SUITE(walk_suite, "walk", "which PTE pages a walk finds", true, cases);
