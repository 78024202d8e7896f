/*
 * thp: pages become one huge page and are split again, and keep what they hold.
 *
 * A block of 2 MiB is stamped, collapsed by MADV_COLLAPSE, looked at, split by a change of rights
 * or a drop in its middle, and looked at again; dropped pages are zero. Threads do so side by
 * side, each in blocks of its own. That is the oracle.
 */
#include "tests/user/judge/linux.h"

#define BLOCK (2UL << 20)
#define BLOCK_PAGES (BLOCK / PAGE_SIZE)
#define MADV_HUGEPAGE 14
#define MADV_COLLAPSE 25

static unsigned long region;
static unsigned collapsed;

static void check_block(unsigned long block, u64 generation, unsigned first, unsigned n)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++) {
		unsigned long at = block + p * PAGE_SIZE;

		if (p >= first && p < first + n)
			stamp_check_zero(at);
		else
			stamp_check(at, at, generation, 0, 0);
	}
}

static void split(unsigned long block, u64 generation, struct rng *rng)
{
	unsigned n = 1 + rng_below(rng, BLOCK_PAGES / 2);
	unsigned first = rng_below(rng, BLOCK_PAGES - n);
	unsigned long at = block + first * PAGE_SIZE;

	if (rng_below(rng, 2)) {
		CHECK(!sys_mprotect(at, n * PAGE_SIZE, PROT_READ), "mprotect");
		check_block(block, generation, 0, 0);
		CHECK(!sys_mprotect(at, n * PAGE_SIZE, PROT_RW), "mprotect");
		check_block(block, generation, 0, 0);
	} else {
		CHECK(!sys_madvise(at, n * PAGE_SIZE, MADV_DONTNEED), "madvise");
		check_block(block, generation, first, n);
	}
}

static void thread_main(unsigned i)
{
	unsigned long block = region + i * BLOCK;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned p = 0; p < BLOCK_PAGES; p++)
			stamp_write(block + p * PAGE_SIZE, block + p * PAGE_SIZE, round + 1);
		if (!sys_madvise(block, BLOCK, MADV_COLLAPSE))
			__atomic_add_fetch(&collapsed, 1, __ATOMIC_RELAXED);
		check_block(block, round + 1, 0, 0);
		split(block, round + 1, &rng);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	unsigned long at = must_map((work.threads + 1) * BLOCK, MAP_PRIVATE);

	region = (at + BLOCK - 1) & ~(BLOCK - 1);
	if (sys_madvise(region, work.threads * BLOCK, MADV_HUGEPAGE))
		skip("huge pages");
	stamp_write(region, region, 1);
	if (sys_madvise(region, BLOCK, MADV_COLLAPSE) == -EINVAL)
		skip("MADV_COLLAPSE, or no huge pages on this CPU");
	run_threads(work.threads, thread_main);
	CHECK(collapsed, "no block was ever collapsed, so nothing was tested");
}
