/*
 * thp: pages become one huge page and are split again, and keep what they hold.
 *
 * A block of 2 MiB is stamped, collapsed by MADV_COLLAPSE, looked at, split by a change of rights
 * or a drop in its middle, and looked at again; dropped pages are zero. Threads do so side by
 * side, each in blocks of its own. That is the oracle.
 */
#include "tests/user/judge/block.h"

#define MADV_COLLAPSE 25

static unsigned long region;
static unsigned collapsed;

static void thread_main(unsigned i)
{
	unsigned long block = region + i * BLOCK;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		stamp_block(block, round + 1);
		if (!sys_madvise(block, BLOCK, MADV_COLLAPSE))
			__atomic_add_fetch(&collapsed, 1, __ATOMIC_RELAXED);
		check_block(block, round + 1, 0, 0);
		split_block(block, round + 1, &rng);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	region = map_blocks(work.threads);
	if (sys_madvise(region, work.threads * BLOCK, MADV_HUGEPAGE))
		skip("huge pages");
	stamp_write(region, region, 1);
	if (sys_madvise(region, BLOCK, MADV_COLLAPSE) == -EINVAL)
		skip("MADV_COLLAPSE, or no huge pages on this CPU");
	run_threads(work.threads, thread_main);
	CHECK(collapsed, "no block was ever collapsed, so nothing was tested");
}
