/*
 * fault: all threads fault the same and neighbouring pages at the same time.
 *
 * Each thread owns one word in every page and writes it in an order of its own; some read first, so
 * that the zero page is replaced under the eyes of others. If two CPUs ever install different pages
 * for one address, the words written to the one that loses are gone: that is the oracle. Then the
 * range is dropped, and must read as zeros.
 */
#include "tests/user/lib/user.h"

static unsigned long region;
static struct barrier barrier;
static bool shared;

static u64 token(u64 round, unsigned page, unsigned thread)
{
	return (round << 32) + page * MAX_THREADS + thread + 1;
}

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static volatile u64 *word_of(unsigned page, unsigned thread)
{
	return (volatile u64 *)page_at(page) + STAMP_WORDS + thread;
}

static void touch_all(unsigned thread, u64 round, struct rng *rng)
{
	unsigned start = rng_below(rng, work.pages);
	unsigned step =
		1 + 2 * rng_below(rng, work.pages / 2); /* odd: visits all of a power of two */
	bool read_first = rng_below(rng, 4) == 0;
	u64 seen = 0;

	for (unsigned i = 0; i < work.pages; i++) {
		unsigned p = (start + i * step) % work.pages;

		if (read_first)
			seen |= *word_of(p, thread);
		*word_of(p, thread) = token(round, p, thread);
		if (p % work.threads == thread)
			stamp_write(page_at(p), page_at(p), round + 1);
	}
	CHECK(!seen, "a page that nobody had written was not zero: %#lx", seen);
}

static void check_all(unsigned thread, u64 round)
{
	for (unsigned p = thread; p < work.pages; p += work.threads) {
		stamp_check(page_at(p), page_at(p), round + 1, sys_getpid(), 0);
		for (unsigned i = 0; i < work.threads; i++)
			CHECK_PAGE(page_at(p), *word_of(p, i) == token(round, p, i),
				   "page %u: the word of thread %u is %#lx: its write is lost", p,
				   i, *word_of(p, i));
	}
}

/* In turn: dropped in place, or replaced by a new mapping. */
static void drop(u64 round)
{
	long ret;

	if (shared || (round & 1))
		ret = sys_mmap(region, work.pages * PAGE_SIZE, PROT_RW,
			       (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANON | MAP_FIXED, -1, 0);
	else
		ret = sys_madvise(region, work.pages * PAGE_SIZE, MADV_DONTNEED);
	CHECK(ret >= 0, "answers %ld", ret);
	stamp_check_zero(page_at(round % work.pages));
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		barrier_wait(&barrier, work.threads);
		touch_all(i, round, &rng);
		barrier_wait(&barrier, work.threads);
		check_all(i, round);
		barrier_wait(&barrier, work.threads);
		if (i == 0) {
			drop(round);
			progress(round + 1);
		}
	}
}

void program_main(void)
{
	CHECK((work.pages & (work.pages - 1)) == 0, "%u pages: not a power of two", work.pages);
	shared = work.index & 1;
	region = must_map(work.pages * PAGE_SIZE, shared ? MAP_SHARED : MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
