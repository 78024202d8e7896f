/*
 * forkstorm: families of processes that come and go, all of one memory.
 *
 * Each round a process forks several children at once, which look at what they inherit, write pages
 * of their own, and may fork again; meanwhile the parent writes its pages anew. Nobody sees what
 * another has written after the fork: that is the oracle.
 */
#include "tests/user/lib/user.h"

#define CHILDREN 6
#define DEPTH 2

static unsigned long region;

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void write_all(u64 generation, unsigned step)
{
	for (unsigned p = 0; p < work.pages; p += step)
		stamp_write(page_at(p), page_at(p), generation);
}

static void check_all(u64 generation, unsigned step, u32 mm)
{
	for (unsigned p = 0; p < work.pages; p += step)
		stamp_check(page_at(p), page_at(p), generation, mm, 0);
}

static void family(u64 generation, unsigned depth, struct rng *rng);

static void child(u64 generation, u32 parent, unsigned depth, struct rng *rng)
{
	unsigned step = 1 + rng_below(rng, 7);

	check_all(generation, 1, parent);
	if (depth && !rng_below(rng, 3))
		family(generation + 1, depth - 1, rng);
	write_all(generation + 100, step);
	if (rng_below(rng, 2))
		sys_munmap(page_at(work.pages / 2), PAGE_SIZE * (work.pages / 4));
	else
		check_all(generation + 100, step, sys_getpid());
	sys_exit_group(0);
}

/* One that forks, and its children. */
static void family(u64 generation, unsigned depth, struct rng *rng)
{
	unsigned n = 1 + rng_below(rng, CHILDREN);
	u32 self = sys_getpid();
	int pids[CHILDREN];

	write_all(generation, 1);
	for (unsigned i = 0; i < n; i++) {
		struct rng own = rng_stream(rng_next(rng), i);

		pids[i] = sys_fork();
		CHECK(pids[i] >= 0, "fork answers %d", pids[i]);
		if (!pids[i])
			child(generation, self, depth, &own);
	}
	write_all(generation + 1, 1);
	for (unsigned i = 0; i < n; i++)
		CHECK(wait_for(pids[i]) == 0, "child %d failed", pids[i]);
	check_all(generation + 1, 1, self);
}

void program_main(void)
{
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		family(round * 1000 + 1, DEPTH, &rng);
		progress(round + 1);
	}
}
