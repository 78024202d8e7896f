/*
 * pagemap: the kernel tells which pages were written since it was asked to forget.
 *
 * Writing 4 to clear_refs protects all pages, so that the next write faults and marks the page as
 * soft-dirty. A page that was written since is marked; one that was not is clean; and what pages
 * hold does not change. Other threads change their own pages all the while. That is the oracle.
 */
#include "tests/user/judge/linux.h"

#define PRESENT (1UL << 63)
#define SOFT_DIRTY (1UL << 55)

static unsigned long region, others;
static int map, clear;
static u32 stop;

static u64 entry(unsigned long page)
{
	u64 value = 0;
	long ret = syscall6(SYS_pread64, map, (long)&value, 8, page / PAGE_SIZE * 8, 0, 0);

	CHECK(ret == 8, "pread of pagemap answers %ld", ret);
	return value;
}

static void forget(void)
{
	long ret = syscall3(SYS_write, clear, "4", 1);

	CHECK(ret == 1, "write to clear_refs answers %ld", ret);
}

static void look(u64 round, struct rng *rng)
{
	unsigned step = 1 + rng_below(rng, 5);

	forget();
	for (unsigned p = 0; p < work.pages; p += step)
		stamp_write(region + p * PAGE_SIZE, region + p * PAGE_SIZE, round + 2);
	for (unsigned p = 0; p < work.pages; p++) {
		unsigned long page = region + p * PAGE_SIZE;
		bool written = p % step == 0;

		CHECK_PAGE(page, !(entry(page) & SOFT_DIRTY) == !written,
			   "page %u was %swritten, its entry is %#lx", p, written ? "" : "not ",
			   entry(page));
		stamp_check(page, page, written ? round + 2 : round + 1, 0, 0);
	}
	for (unsigned p = 0; p < work.pages; p++)
		stamp_write(region + p * PAGE_SIZE, region + p * PAGE_SIZE, round + 2);
}

/* Another thread's page: written, dropped, protected, whatever its marks are. */
static void disturb(unsigned i)
{
	unsigned long page = others + i * PAGE_SIZE;

	for (u64 n = 1; !smp_load_acquire(&stop); n++) {
		stamp_write(page, page, n);
		sys_mprotect(page, PAGE_SIZE, PROT_READ);
		stamp_check(page, page, n, 0, 0);
		sys_mprotect(page, PAGE_SIZE, PROT_RW);
		sys_madvise(page, PAGE_SIZE, MADV_DONTNEED);
	}
}

static void thread_main(unsigned i)
{
	if (i) {
		disturb(i);
		return;
	}
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		look(round, &rng);
		progress(round + 1);
	}
	smp_store_release(&stop, 1);
}

void program_main(void)
{
	map = syscall3(SYS_open, "/proc/self/pagemap", O_RDONLY, 0);
	clear = syscall3(SYS_open, "/proc/self/clear_refs", O_WRONLY, 0);
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	others = must_map(MAX_THREADS * PAGE_SIZE, MAP_PRIVATE);
	for (unsigned p = 0; p < work.pages; p++)
		stamp_write(region + p * PAGE_SIZE, region + p * PAGE_SIZE, 1);
	if (map < 0 || clear < 0 || !(entry(region) & PRESENT) || !(entry(region) & SOFT_DIRTY))
		skip("soft-dirty pages in pagemap");
	run_threads(work.threads, thread_main);
}
