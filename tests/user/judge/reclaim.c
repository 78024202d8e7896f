/*
 * reclaim: pages that the kernel is told to take away while they are written.
 *
 * Of a page of MADV_FREE the process finds its stamp or zeros, until it writes: from then on it
 * finds what it wrote. MADV_COLD and MADV_PAGEOUT never change what a page holds. The same is done
 * to pages of a file in memory, that several threads map. That is the oracle.
 */
#include "tests/user/judge/linux.h"

#define MADV_FREE 8
#define MADV_COLD 20
#define MADV_PAGEOUT 21

static unsigned long region, file;
static unsigned part; /* pages of a thread */

static void free_and_write(unsigned long page, u64 generation, struct rng *rng)
{
	const struct stamp *s = stamp_of(page);

	stamp_write(page, page, generation);
	CHECK(!sys_madvise(page, PAGE_SIZE, MADV_FREE), "MADV_FREE");
	if (rng_below(rng, 2))
		sys_madvise(page, PAGE_SIZE, MADV_PAGEOUT);
	CHECK_PAGE(page, !READ_ONCE(s->generation) || READ_ONCE(s->generation) == generation,
		   "after MADV_FREE of generation %lu the page holds %lu", generation,
		   s->generation);
	stamp_write(page, page, generation + 1);
	if (rng_below(rng, 2))
		sys_madvise(page, PAGE_SIZE, rng_below(rng, 2) ? MADV_COLD : MADV_PAGEOUT);
	stamp_check(page, page, generation + 1, 0, 0);
}

static void page_out(unsigned long page, u64 generation, int advice)
{
	stamp_write(page, page, generation);
	CHECK(!sys_madvise(page, PAGE_SIZE, advice), "madvise %d", advice);
	stamp_check(page, page, generation, 0, 0);
}

static void thread_main(unsigned i)
{
	unsigned long own = region + i * part * PAGE_SIZE, shared = file + i * part * PAGE_SIZE;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned k = 0; k < part; k++) {
			unsigned long offset = rng_below(&rng, part) * PAGE_SIZE;

			free_and_write(own + offset, 2 * round + 1, &rng);
			page_out(shared + offset, round + 1,
				 rng_below(&rng, 2) ? MADV_COLD : MADV_PAGEOUT);
		}
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	size_t size = work.pages * PAGE_SIZE;
	int fd = syscall3(SYS_memfd_create, "pages", 0, 0);

	part = work.pages / work.threads;
	region = must_map(size, MAP_PRIVATE);
	if (sys_madvise(region, PAGE_SIZE, MADV_PAGEOUT))
		skip("MADV_PAGEOUT");
	CHECK(fd >= 0 && !syscall3(SYS_ftruncate, fd, size, 0), "a file in memory");
	file = sys_mmap(0, size, PROT_RW, MAP_SHARED, fd, 0);
	run_threads(work.threads, thread_main);
}
