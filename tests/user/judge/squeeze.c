/*
 * squeeze: memory.high makes the kernel take pages away while they are written.
 *
 * The process puts itself into a cgroup that may have three quarters of the pages that it uses. It
 * has blocks of pages, each written or offered by MADV_FREE. Of a page that was offered it finds
 * the stamp or zeros; then it writes, and from then on the page holds what was written, however
 * near its reclaim was. That is the oracle. Some page must have been taken away.
 */
#include "tests/user/judge/linux.h"

#define MADV_FREE 8
#define BLOCK_PAGES 16
#define MAX_BLOCKS 128 /* of a thread */
#define GROUPS "/cg"   /* where cgroup2 is mounted */

struct block {
	u64 generation;
	bool offered;
};

static unsigned long region;
static unsigned blocks, taken;

/* Some pages of an offered block may be gone; then write all of them. */
static void write_block(unsigned long at, struct block *b)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++) {
		unsigned long page = at + p * PAGE_SIZE;
		u64 found = READ_ONCE(stamp_of(page)->generation);

		CHECK_PAGE(page, !found || found == b->generation,
			   "after MADV_FREE of generation %lu the page holds %lu", b->generation,
			   found);
		if (!found && b->generation)
			__atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
		stamp_write(page, page, b->generation + 1);
	}
	b->generation++;
	b->offered = false;
}

static void offer_block(unsigned long at, struct block *b)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++)
		stamp_check(at + p * PAGE_SIZE, at + p * PAGE_SIZE, b->generation, 0, 0);
	CHECK(!sys_madvise(at, BLOCK_PAGES * PAGE_SIZE, MADV_FREE), "MADV_FREE");
	b->offered = true;
}

static void thread_main(unsigned i)
{
	struct block own[MAX_BLOCKS];

	for (unsigned k = 0; k < blocks; k++)
		own[k] = (struct block){0, true};
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned n = 0; n < 2 * blocks; n++) {
			unsigned k = rng_below(&rng, blocks);
			unsigned long at = region + (i * blocks + k) * BLOCK_PAGES * PAGE_SIZE;

			if (own[k].offered)
				write_block(at, &own[k]);
			else
				offer_block(at, &own[k]);
		}
		if (i == 0)
			progress(round + 1);
	}
}

/* Put this process into a group that may have @size bytes. */
static void enter_group(size_t size)
{
	char path[64], high[24];
	long mounted;

	syscall3(SYS_mkdir, GROUPS, 0755, 0);
	mounted = syscall6(SYS_mount, (long)"cg", (long)GROUPS, (long)"cgroup2", 0, 0, 0);
	if (mounted && mounted != -EBUSY)
		skip("cgroup2");
	if (write_file(GROUPS "/cgroup.subtree_control", "+memory") < 0)
		skip("memory.high: the controller of memory is not there, or switched off");
	snprintf(path, sizeof(path), GROUPS "/squeeze-%u", work.index);
	syscall3(SYS_mkdir, path, 0755, 0);
	snprintf(path, sizeof(path), GROUPS "/squeeze-%u/memory.high", work.index);
	snprintf(high, sizeof(high), "%lu", size);
	CHECK(write_file(path, high) > 0, "memory.high");
	snprintf(path, sizeof(path), GROUPS "/squeeze-%u/cgroup.procs", work.index);
	CHECK(write_file(path, "0") > 0, "cgroup.procs");
}

void program_main(void)
{
	size_t size = work.pages * PAGE_SIZE;

	blocks = work.pages / work.threads / BLOCK_PAGES;
	CHECK(blocks && blocks <= MAX_BLOCKS, "%u blocks", blocks);
	enter_group(size / 4 * 3);
	region = must_map(size, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
	CHECK(taken, "no page was ever taken away, so nothing was tested");
}
