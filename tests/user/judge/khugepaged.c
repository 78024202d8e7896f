/*
 * khugepaged: the kernel makes one huge page of pages that are written all the while.
 *
 * A block of 2 MiB is made of small pages, then the kernel may collapse it; its thread goes on
 * writing pages of it until the block is one huge page, or has been looked at often enough. Each
 * page holds what was written last: that is the oracle. Then the block is split, as in thp. At
 * least one must have been collapsed.
 */
#include "tests/user/judge/block.h"

#define SETTINGS "/sys/kernel/mm/transparent_hugepage/"
#define LOOKS 3000 /* at a block, of which each takes LOOK_US */
#define LOOK_US 1000
#define FRAME_MASK ((1UL << 55) - 1) /* of an entry of pagemap */
#define FLAG_THP (1UL << 22)	     /* of one of kpageflags */

static unsigned long region;
static int pagemap, flags;
static unsigned collapsed;

static u64 number_at(int fd, unsigned long index)
{
	u64 value = 0;
	long ret = syscall6(SYS_pread64, fd, (long)&value, 8, index * 8, 0, 0);

	CHECK(ret == 8, "pread answers %ld", ret);
	return value;
}

static bool is_huge(unsigned long block)
{
	u64 frame = number_at(pagemap, block / PAGE_SIZE) & FRAME_MASK;

	return frame && number_at(flags, frame) & FLAG_THP;
}

/* All pages small, and of @generation. */
static void make_small(unsigned long block, u64 generation)
{
	CHECK(!sys_madvise(block, BLOCK, MADV_NOHUGEPAGE), "MADV_NOHUGEPAGE");
	CHECK(!sys_madvise(block, BLOCK, MADV_DONTNEED), "MADV_DONTNEED");
	stamp_block(block, generation);
	CHECK(!is_huge(block), "a block that may not be a huge page is one");
	CHECK(!sys_madvise(block, BLOCK, MADV_HUGEPAGE), "MADV_HUGEPAGE");
}

/* Each page holds what was written last: @generation, or the next where @written. */
static void check_pages(unsigned long block, u64 generation, const bool *written)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++) {
		unsigned long page = block + p * PAGE_SIZE;

		stamp_check(page, page, generation + written[p], 0, 0);
	}
}

/* Write pages of @block, which is of @generation, until it is huge: whether it is. */
static bool write_until_huge(unsigned long block, u64 generation, struct rng *rng)
{
	bool written[BLOCK_PAGES] = {false}, huge = false;

	for (unsigned i = 0; i < LOOKS && !(huge = is_huge(block)); i++) {
		unsigned p = rng_below(rng, BLOCK_PAGES);
		unsigned long page = block + p * PAGE_SIZE;

		stamp_check(page, page, generation + written[p], 0, 0);
		stamp_write(page, page, generation + 1);
		written[p] = true;
		sleep_us(LOOK_US);
	}
	check_pages(block, generation, written);
	return huge;
}

static void thread_main(unsigned i)
{
	unsigned long block = region + i * BLOCK;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);
		u64 generation = 2 * round + 1;

		make_small(block, generation);
		if (write_until_huge(block, generation, &rng))
			__atomic_add_fetch(&collapsed, 1, __ATOMIC_RELAXED);
		stamp_block(block, generation + 1);
		split_block(block, generation + 1, &rng);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	if (write_file(SETTINGS "khugepaged/scan_sleep_millisecs", "1") < 0 ||
	    write_file(SETTINGS "enabled", "madvise") < 0)
		skip("khugepaged, or no huge pages on this CPU");
	pagemap = syscall3(SYS_open, "/proc/self/pagemap", O_RDONLY, 0);
	flags = syscall3(SYS_open, "/proc/kpageflags", O_RDONLY, 0);
	if (pagemap < 0 || flags < 0)
		skip("pagemap and kpageflags");
	region = map_blocks(work.threads);
	run_threads(work.threads, thread_main);
	CHECK(collapsed, "no block was ever collapsed, so nothing was tested");
}
