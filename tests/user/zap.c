/*
 * zap: threads drop pages that others read and write at the same time.
 *
 * Page p belongs to thread p mod T, which drops it and writes it again with a higher generation;
 * all threads read all pages. After a drop the owner publishes the lowest generation that may still
 * be seen. A reader that then finds an older one, another page's address, or poison has used a
 * stale translation: that is the oracle. Zeros are always allowed: the page was dropped again.
 */
#include "tests/user/lib/user.h"

static unsigned long region;
static u32 self;
static u64 *oldest; /* per page: the lowest generation that may be seen from now on */

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void read_page(unsigned p)
{
	u64 least = smp_load_acquire(&oldest[p]);
	const volatile struct stamp *s = stamp_of(page_at(p));
	u64 generation = s->generation, address = s->address;
	u32 mm = s->mm;

	CHECK_PAGE(page_at(p), !generation || generation >= least,
		   "page %u: generation %lu, though %lu was dropped before: a stale translation", p,
		   generation, least);
	CHECK_PAGE(page_at(p), !address || address == page_at(p),
		   "page %u carries the address %#lx", p, address);
	CHECK_PAGE(page_at(p), !mm || mm == self, "page %u was written by process %u", p, mm);
}

/*
 * The magic number is the same in every stamp, so any thread may write it at any time: a page that
 * its owner has only populated becomes dirty while it is dropped, and the kernel's ledger must
 * know.
 */
static void make_dirty(unsigned p)
{
	((volatile struct stamp *)stamp_of(page_at(p)))->magic = PAGE_STAMP_MAGIC;
}

/* Drop [first, first + n) pages, all of which are this thread's to drop. */
static void drop(unsigned first, unsigned n, u64 generation, struct rng *rng)
{
	long ret;

	if (rng_below(rng, 8) == 0)
		ret = sys_mmap(page_at(first), n * PAGE_SIZE, PROT_RW,
			       MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0);
	else
		ret = sys_madvise(page_at(first), n * PAGE_SIZE, MADV_DONTNEED);
	CHECK(ret >= 0, "answers %ld", ret);
	for (unsigned p = first; p < first + n; p++)
		smp_store_release(&oldest[p], generation);
}

/* Stripes of this many pages have one owner, so that drops of several pages occur. */
#define STRIPE 8

static void own_stripe(unsigned stripe, u64 generation, struct rng *rng)
{
	unsigned n = 1 + rng_below(rng, STRIPE);
	unsigned first = stripe * STRIPE + rng_below(rng, STRIPE - n + 1);

	drop(first, n, generation, rng);
	if (rng_below(rng, 4) == 0)
		sys_madvise(page_at(first), n * PAGE_SIZE,
			    rng_below(rng, 2) ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
	for (unsigned p = first; p < first + n; p++)
		if (rng_below(rng, 4))
			stamp_write(page_at(p), page_at(p), generation);
}

static void thread_main(unsigned i)
{
	unsigned stripes = work.pages / STRIPE;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned s = i; s < stripes; s += work.threads) {
			own_stripe(s, round + 1, &rng);
			for (unsigned k = 0; k < STRIPE; k++)
				read_page(rng_below(&rng, stripes * STRIPE));
			make_dirty(rng_below(&rng, stripes * STRIPE));
		}
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	CHECK(work.pages / STRIPE >= work.threads, "%u pages for %u threads", work.pages,
	      work.threads);
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	self = sys_getpid();
	oldest = (u64 *)must_map(work.pages * sizeof(*oldest), MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
