/*
 * mprotect: threads change the rights of ranges that share PTE pages, and probe each other's.
 *
 * Each thread owns a part of the region; parts are odd in size, so that their borders fall inside
 * PTE pages, and the region crosses several. Per page there is a public word that says, with a
 * sequence number, what every CPU must see now: writable or not, readable or not. Any thread may
 * probe any page through the kernel; if the public word was the same before and after the probe and
 * the probe's answer contradicts it, some TLB or some entry is stale: that is the oracle. Contents
 * never change but by their owner.
 */
#include "tests/user/lib/user.h"

enum { UNKNOWN, RW, RO, NONE };

static unsigned long region;
static u32 *state; /* per page: sequence * 4 + one of the above */
static u64 *generation;
static unsigned long probes, contradictable;

static unsigned part_start(unsigned i)
{
	return (u64)work.pages * i / work.threads;
}

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void publish(unsigned first, unsigned n, unsigned what)
{
	for (unsigned p = first; p < first + n; p++)
		smp_store_release(&state[p], (state[p] & ~3u) + 4 + what);
}

static void change(unsigned first, unsigned n, unsigned what)
{
	static const int prot[] = {[RW] = PROT_RW, [RO] = PROT_READ, [NONE] = PROT_NONE};
	long ret;

	publish(first, n, UNKNOWN);
	smp_mb();
	ret = sys_mprotect(page_at(first), n * PAGE_SIZE, prot[what]);
	CHECK(!ret, "mprotect answers %ld", ret);
	publish(first, n, what);
}

static void probe(unsigned p)
{
	u32 before = smp_load_acquire(&state[p]), after;
	long wrote = probe_write(page_at(p) + 64), read = probe_read(page_at(p));

	smp_mb();
	after = smp_load_acquire(&state[p]);
	__atomic_add_fetch(&probes, 1, __ATOMIC_RELAXED);
	if (before != after || (before & 3) == UNKNOWN)
		return;
	__atomic_add_fetch(&contradictable, 1, __ATOMIC_RELAXED);
	CHECK_PAGE(page_at(p), !wrote == ((before & 3) == RW),
		   "page %u is %u (1 rw, 2 ro, 3 none), a write answers %ld", p, before & 3, wrote);
	CHECK_PAGE(page_at(p), !read == ((before & 3) != NONE),
		   "page %u is %u (1 rw, 2 ro, 3 none), a read answers %ld", p, before & 3, read);
}

static void check_pages(unsigned first, unsigned n)
{
	for (unsigned p = first; p < first + n; p++)
		if (generation[p])
			stamp_check(page_at(p), page_at(p), generation[p], sys_getpid(), 0);
}

static void write_pages(unsigned first, unsigned n)
{
	for (unsigned p = first; p < first + n; p++)
		stamp_write(page_at(p), page_at(p), ++generation[p]);
}

static void one_change(unsigned first, unsigned n, struct rng *rng)
{
	change(first, n, RO);
	check_pages(first, n);
	if (rng_below(rng, 4) == 0) {
		change(first, n, NONE);
		if (rng_below(rng, 2))
			change(first, n, RO);
	}
	change(first, n, RW);
	check_pages(first, n);
	write_pages(first, n);
}

static void thread_main(unsigned i)
{
	unsigned start = part_start(i), len = part_start(i + 1) - start;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);
		unsigned n = 1 + rng_below(&rng, len), first = start + rng_below(&rng, len - n + 1);

		one_change(first, n, &rng);
		for (unsigned k = 0; k < 8; k++)
			probe(rng_below(&rng, work.pages));
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	state = (u32 *)must_map(work.pages * sizeof(*state), MAP_PRIVATE);
	generation = (u64 *)must_map(work.pages * sizeof(*generation), MAP_PRIVATE);
	CHECK(work.pages >= work.threads, "%u pages for %u threads", work.pages, work.threads);
	write_pages(0, work.pages);
	publish(0, work.pages, RW);
	run_threads(work.threads, thread_main);
	CHECK(work.threads == 1 || contradictable, "none of %lu probes met a settled page", probes);
}
