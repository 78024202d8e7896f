/*
 * vmap: threads in bursts, so that the kernel maps and unmaps stacks of its own all the time.
 *
 * Each round makes a burst of threads, more than a kernel keeps stacks for; in some bursts all wait
 * for each other, so that all stacks are there at once and are freed together, late. Thread i has
 * page i: it finds there what the last thread of that number has left, and leaves its own stamp.
 * That is the oracle of this program; what it is for is the kernel's, whose stacks lie in memory
 * that is mapped page by page (Linux: vmap, in a lazy section of kernel tables).
 */
#include "tests/user/lib/user.h"

#define BURST 32

static unsigned long region, stacks[BURST];
static u64 left[BURST]; /* the generation of each page */
static u64 generation;
static unsigned burst;
static bool together; /* this burst's threads end at once */
static struct barrier all_here;

static unsigned long page_of(unsigned i)
{
	return region + i * PAGE_SIZE;
}

static void thread_main(unsigned i)
{
	if (left[i])
		stamp_check(page_of(i), page_of(i), left[i], sys_getpid(), 0);
	left[i] = generation;
	stamp_write(page_of(i), page_of(i), generation);
	if (together)
		barrier_wait(&all_here, burst);
	stamp_check(page_of(i), page_of(i), generation, 0, sys_gettid());
}

static void run_burst(void)
{
	for (unsigned i = 1; i < burst; i++)
		thread_begin(stacks[i], i, thread_main);
	thread_main(0);
	for (unsigned i = 1; i < burst; i++)
		thread_end(stacks[i]);
}

static void map_all(void)
{
	region = must_map(BURST * PAGE_SIZE, MAP_PRIVATE);
	for (unsigned i = 0; i < BURST; i++)
		stacks[i] = must_map(THREAD_STACK, MAP_PRIVATE);
}

void program_main(void)
{
	map_all();
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		generation = round + 1;
		burst = 2 + rng_below(&rng, BURST - 1);
		together = rng_below(&rng, 2);
		run_burst();
		progress(round + 1);
	}
}
