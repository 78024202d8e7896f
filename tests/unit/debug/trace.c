/*
 * Suite `trace`: does the history of a page tell what was done to it, and to its frame?
 *
 * Oracle: after known operations on one page the history holds just these, in their order; those of
 * other pages and address spaces are not in it, unless they have the same frame. Of a known section
 * the trace holds each step, in its order.
 */

#include "kernel/arch/io.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/space/mmap.h"
#include "mm/table/page_history.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#ifdef CONFIG_DEBUG

#define PAGES 3 /* too few for any backend to fill a table */
#define MAX_EVENTS 32

static struct mm *mm;
static long area;
static u64 begin; /* what is older is the frames' former life */

static void setup(struct ktest *t)
{
	begin = rdtsc();
	mm = test_mm_enter();
	area = do_mmap(0, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, NULL, 0);
	KEXPECT(t, area > 0);
}

static void teardown(void)
{
	do_munmap(area, PAGES * PAGE_SIZE);
	test_mm_leave(mm);
}

/* An invalidation is owed first where there are sections. */
static void expect_history(struct ktest *t, unsigned long addr, const u8 *kinds, unsigned n)
{
	struct trace_event e[MAX_EVENTS];
	unsigned found = page_history_collect(mm, addr, e, MAX_EVENTS), old = 0, seen;

	while (old < found && e[old].when < begin)
		old++;
	seen = old;
	for (unsigned i = 0; i < n; i++) {
		if (kinds[i] == TRACE_OWE && !lazy_mmu_enabled)
			continue;
		if (seen < found)
			KEXPECT_EQ(t, e[seen].kind, kinds[i]);
		seen++;
	}
	KEXPECT_EQ(t, found, seen);
	for (unsigned i = old; i < found; i++) {
		KEXPECT_EQ(t, e[i].context, mm->tlb.context);
		KEXPECT(t, !i || e[i - 1].when <= e[i].when);
	}
}

static void of_a_page(struct ktest *t)
{
	static const u8 expected[] = {TRACE_SET,   TRACE_MODIFY, TRACE_OWE,  TRACE_FLUSH,
				      TRACE_CLEAR, TRACE_OWE,	 TRACE_FLUSH};

	setup(t);
	KEXPECT_EQ(t, do_mprotect(area + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_madvise(area + PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	expect_history(t, area + PAGE_SIZE + 123, expected, ARRAY_SIZE(expected));
	expect_history(t, area, expected, 1);
	teardown();
}

/* What became of the frame elsewhere belongs to the history too. */
static void of_a_frame(struct ktest *t)
{
	static const u8 expected[] = {TRACE_SET, TRACE_CLEAR, TRACE_SET, TRACE_OWE, TRACE_FLUSH};
	long to;

	setup(t);
	to = do_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	KEXPECT_EQ(t, do_mremap(area, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	expect_history(t, area, expected, ARRAY_SIZE(expected));
	do_munmap(to, PAGE_SIZE);
	teardown();
}

/* Of many events the last are shown. */
static void is_the_last(struct ktest *t)
{
	struct trace_event e[2];

	setup(t);
	for (unsigned i = 0; i < 3; i++)
		KEXPECT_EQ(t,
			   do_mprotect(area, PAGE_SIZE, i & 1 ? PROT_READ | PROT_WRITE : PROT_READ),
			   0);
	KEXPECT_EQ(t, page_history_collect(mm, area, e, ARRAY_SIZE(e)), ARRAY_SIZE(e));
	KEXPECT_EQ(t, e[0].kind, lazy_mmu_enabled ? TRACE_OWE : TRACE_MODIFY);
	KEXPECT_EQ(t, e[1].kind, TRACE_FLUSH);
	teardown();
}

/* What this task does in the lazy mode. */
static bool is_of_a_section(const struct trace_event *e, const void *unused __unused)
{
	return e->when >= begin && (int)e->tid == current->tid && e->kind >= TRACE_LAZY &&
	       e->kind <= TRACE_BATCH_END;
}

static void expect_kinds(struct ktest *t, const u8 *kinds, unsigned n)
{
	struct trace_event e[MAX_EVENTS];

	KEXPECT_EQ(t, trace_collect(is_of_a_section, NULL, e, MAX_EVENTS), n);
	for (unsigned i = 0; i < n; i++)
		KEXPECT_EQ(t, e[i].kind, kinds[i]);
}

/* A nested one is a part of the outermost. Not analysed: a section of the test's own. */
static void of_a_section(struct ktest *t) __no_thread_safety
{
	static const u8 lazy[] = {TRACE_LAZY,	   TRACE_PAUSE,	    TRACE_RESUME,
				  TRACE_OWE,	   TRACE_BATCH,	    TRACE_FLUSH,
				  TRACE_FLUSH_END, TRACE_BATCH_END, TRACE_LAZY_END};
	static const u8 eager[] = {TRACE_LAZY,	TRACE_PAUSE,	 TRACE_RESUME,
				   TRACE_FLUSH, TRACE_FLUSH_END, TRACE_LAZY_END};
	lazy_mmu_state_t outer, inner;
	struct spinlock *ptl;
	pte_t *ptep;

	setup(t);
	ptep = pte_offset_map_lock(pmd_find(mm, area), area, &ptl);
	begin = rdtsc();
	outer = arch_enter_lazy_mmu_mode();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	inner = arch_enter_lazy_mmu_mode();
	flush_tlb_page(mm, area);
	arch_leave_lazy_mmu_mode(inner);
	arch_leave_lazy_mmu_mode(outer);
	if (lazy_mmu_enabled)
		expect_kinds(t, lazy, ARRAY_SIZE(lazy));
	else
		expect_kinds(t, eager, ARRAY_SIZE(eager));
	pte_unmap_unlock(ptep, ptl);
	teardown();
}

static void stops(struct ktest *t)
{
	struct trace_event e[MAX_EVENTS];
	unsigned before;

	setup(t);
	before = page_history_collect(mm, area, e, MAX_EVENTS);
	trace_stop();
	KEXPECT_EQ(t, do_madvise(area, PAGE_SIZE, MADV_DONTNEED), 0);
	KEXPECT_EQ(t, page_history_collect(mm, area, e, MAX_EVENTS), before);
	trace_start();
	teardown();
}

/* A program may ask for the history of a page; the recording goes on. */
static void goes_on(struct ktest *t)
{
	struct trace_event e[MAX_EVENTS];
	unsigned before;

	setup(t);
	page_history_print(mm, area);
	before = page_history_collect(mm, area, e, MAX_EVENTS);
	KEXPECT_EQ(t, do_madvise(area, PAGE_SIZE, MADV_DONTNEED), 0);
	KEXPECT(t, page_history_collect(mm, area, e, MAX_EVENTS) > before);
	teardown();
}

#else

static void of_a_page(struct ktest *t)
{
	ktest_skip(t, "a release build records nothing");
}
#define of_a_frame of_a_page
#define is_the_last of_a_page
#define of_a_section of_a_page
#define stops of_a_page
#define goes_on of_a_page

#endif

static const struct ktest_case cases[] = {
	{"of_a_page", of_a_page},	{"of_a_frame", of_a_frame}, {"is_the_last", is_the_last},
	{"of_a_section", of_a_section}, {"stops", stops},	    {"goes_on", goes_on},
};
KTEST_SUITE(trace_suite, "trace", "what is recorded of a page", true, cases);
