/*
 * Suite `oom`: memory runs out in the middle of every operation.
 *
 * Each operation runs again and again, with the first, the second, ... allocation of a frame or an
 * object failing and all after it, until it succeeds. Oracle: a failure is -ENOMEM (or no mm); afterwards
 * the audit finds nothing, every page that was mapped still has its contents where it was, and when
 * all is unmapped every frame and object is back.
 */
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "mm/frame/slab.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define BASE 0x40000000UL
#define LEN (3 * PMD_SIZE)
#define TARGET (0x80000000UL + 5 * PAGE_SIZE) /* not aligned as BASE is */
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define RW (PROT_READ | PROT_WRITE)
#define MAX_ATTEMPTS 200

/* Pages that have contents: two in the first PTE page, none in the second, two in the third. */
static const unsigned long marked[] = {0, PMD_SIZE - PAGE_SIZE, 2 * PMD_SIZE, LEN - PAGE_SIZE};

static void mark_pages(struct ktest *t, unsigned long base)
{
	for (unsigned i = 0; i < ARRAY_SIZE(marked); i++)
		KEXPECT_EQ(t, put_user32(base + marked[i], i + 1), 0);
}

static void check_pages(struct ktest *t, unsigned long base)
{
	for (unsigned i = 0; i < ARRAY_SIZE(marked); i++) {
		u32 v = 0;

		KEXPECT_EQ(t, get_user32(base + marked[i], &v), 0);
		KEXPECT_EQ(t, v, i + 1);
	}
}

/* One attempt: 0, or -ENOMEM. Where the marked pages are afterwards goes to *base. */
typedef long (*operation)(unsigned long *base);

static void run_once_until_success(struct ktest *t, operation op)
{
	s64 user = page_kind_count(PAGE_USER), tables = page_kind_count(PAGE_TABLE);
	s64 objects = kmem_objects();
	unsigned failures = 0;
	long err = -ENOMEM;

	for (unsigned n = 1; err && n < MAX_ATTEMPTS; n++) {
		struct mm *mm = test_mm_enter();
		unsigned long base = BASE;

		KEXPECT_EQ(t, do_mmap(BASE, LEN, RW, ANON, NULL, 0), BASE);
		mark_pages(t, BASE);
		alloc_page_fail_after(n);
		err = op(&base);
		alloc_page_fail_after(0);
		KEXPECT(t, err == 0 || err == -ENOMEM);
		failures += err != 0;
		KEXPECT_EQ(t, audit_all(), 0);
		check_pages(t, base);
		test_mm_leave(mm);
	}
	KEXPECT_EQ(t, err, 0);
	KEXPECT(t, failures > 0);
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), user);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
	KEXPECT_EQ(t, kmem_objects(), objects);
}

/* The second time tables come from the reserve, so that other allocations are the n-th. */
static void run_until_success(struct ktest *t, operation op)
{
	run_once_until_success(t, op);
	run_once_until_success(t, op);
}

static long move_away(unsigned long *base)
{
	long ret = do_mremap(BASE, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, TARGET);

	if (ret < 0)
		return ret;
	*base = ret;
	return 0;
}

static long fork_it(unsigned long *base __unused)
{
	struct mm *child = mm_fork(current->mm);

	if (!child)
		return -ENOMEM;
	mm_put(child);
	return 0;
}

/* A few pages of a part that has its PTE page. */
static long populate(unsigned long *base __unused)
{
	return do_madvise(BASE + PAGE_SIZE, 20 * PAGE_SIZE, MADV_POPULATE_WRITE);
}

/* And of one that has none yet: as many as it takes to fill a new one. */
static long populate_new(unsigned long *base __unused)
{
	unsigned long len = pv_table_costs.fill_min * PAGE_SIZE;

	return do_madvise(BASE + PMD_SIZE, len, MADV_POPULATE_WRITE);
}

static long zeromap(unsigned long *base __unused)
{
	return do_madvise(BASE + PMD_SIZE, 20 * PAGE_SIZE, MADV_POPULATE_READ);
}

static long map_shared(unsigned long *base __unused)
{
	long m = do_mmap(0, 4 * PAGE_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);

	if (m < 0)
		return m;
	return put_user32(m, 1) ? -ENOMEM : 0;
}

/* Many VMAs, of which each needs an object. */
static long split_many(unsigned long *base __unused)
{
	for (unsigned i = 1; i < 40; i += 2) {
		long err = do_mprotect(BASE + PMD_SIZE + i * PAGE_SIZE, PAGE_SIZE, PROT_READ);

		if (err)
			return err;
	}
	return 0;
}

#define MIDDLE (BASE + PMD_SIZE + PAGE_SIZE) /* its ends are no ends of VMAs */

static long unmap_middle(unsigned long *base __unused)
{
	return do_munmap(MIDDLE, PAGE_SIZE);
}

static long move_middle(unsigned long *base __unused)
{
	long ret = do_mremap(MIDDLE, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, TARGET);

	return ret < 0 ? ret : 0;
}

static void mremap_moves_all_or_nothing(struct ktest *t)
{
	run_until_success(t, move_away);
}

static void fork_leaves_the_parent(struct ktest *t)
{
	run_until_success(t, fork_it);
}

static void populate_keeps_what_it_filled(struct ktest *t)
{
	run_until_success(t, populate);
}

static void a_new_table_is_complete(struct ktest *t)
{
	run_until_success(t, populate_new);
}

static void zeromap_fails_cleanly(struct ktest *t)
{
	run_until_success(t, zeromap);
}

static void shared_memory(struct ktest *t)
{
	run_until_success(t, map_shared);
}

static void mprotect_splits(struct ktest *t)
{
	run_until_success(t, split_many);
}

/* What was split before memory ran out is one again: the audit. */
static void munmap_splits(struct ktest *t)
{
	run_until_success(t, unmap_middle);
}

static void mremap_splits(struct ktest *t)
{
	run_until_success(t, move_middle);
}

static const struct ktest_case cases[] = {
	{"mremap_moves_all_or_nothing", mremap_moves_all_or_nothing},
	{"fork_leaves_the_parent", fork_leaves_the_parent},
	{"populate_keeps_what_it_filled", populate_keeps_what_it_filled},
	{"a_new_table_is_complete", a_new_table_is_complete},
	{"zeromap_fails_cleanly", zeromap_fails_cleanly},
	{"shared_memory", shared_memory},
	{"mprotect_splits", mprotect_splits},
	{"munmap_splits", munmap_splits},
	{"mremap_splits", mremap_splits},
};
KTEST_SUITE(oom_suite, "oom", "memory runs out inside every operation", true, cases);
