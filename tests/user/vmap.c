/*
 * vmap: threads in bursts, so that the kernel maps and unmaps stacks of its own all the time.
 *
 * Each round makes a burst of threads, more than a kernel keeps stacks for; in some bursts all wait
 * for each other, so that all stacks are there at once and are freed together, late. Thread i has
 * page i: it finds there what the last thread of that number has left, and leaves its own stamp.
 * That is the oracle of this program; what it is for is the kernel's, whose stacks lie in memory
 * that is mapped page by page (Linux: vmap, in a lazy section of kernel tables).
 *
 * It aims: just before it makes a thread it lets an archer, a thread of the same CPU with a
 * real-time priority, sleep for about as long as the kernel needs to come to that mapping. Nobody
 * knows how long that is, so the time is random on a scale that is random, too. What preempts in
 * the middle of the mapping is then the archer.
 */
#include "tests/user/lib/user.h"

#define CLOCK_MONOTONIC 1
#define SCHED_FIFO 1
#define PRIORITY 60
#define BURST 32
#define NS_MIN 50000 /* Xen's timers are no finer */
#define SCALES 4     /* the random part of the time: below 16, 32, 64, 128 us */

static unsigned long region, stacks[BURST], archers_stack;
static u64 left[BURST]; /* the generation of each page */
static u64 generation;
static unsigned burst;
static bool together; /* this burst's threads end at once */
static struct barrier all_here;
static u32 shot;    /* counts up: the archer sleeps once for each */
static long flight; /* ns, of the next */
static u32 stop;

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

/* --- the archer --- */

static void stay_on(unsigned cpu)
{
	const unsigned long mask = 1UL << cpu;
	long ret = syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);

	CHECK(ret >= 0, "sched_setaffinity to CPU %u answers %ld", cpu, ret);
}

static unsigned count_cpus(void)
{
	unsigned long mask = 0;
	long ret = syscall3(SYS_sched_getaffinity, 0, sizeof(mask), &mask);
	unsigned n = 0;

	CHECK(ret > 0, "sched_getaffinity answers %ld", ret);
	for (; mask; mask &= mask - 1)
		n++;
	return n;
}

static void archer(unsigned unused __unused)
{
	const int priority = PRIORITY;
	long ret = syscall3(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority);
	u32 seen = 0;

	CHECK(!ret || ret == -ENOSYS || ret == -EPERM, "sched_setscheduler answers %ld", ret);
	while (!smp_load_acquire(&stop)) {
		long time[2] = {0, READ_ONCE(flight)};

		if (seen != smp_load_acquire(&shot)) {
			seen = shot;
			syscall6(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)time, 0, 0, 0);
		} else {
			futex_wait(&shot, seen);
		}
	}
}

static void shoot(struct rng *rng)
{
	flight = NS_MIN + rng_below(rng, 16000UL << rng_below(rng, SCALES));
	smp_store_release(&shot, shot + 1);
	futex_wake(&shot, 1);
}

/* --- bursts --- */

static void run_burst(struct rng *rng)
{
	bool aimed = rng_below(rng, 4);

	for (unsigned i = 1; i < burst; i++) {
		if (aimed)
			shoot(rng);
		thread_begin(stacks[i], i, thread_main);
	}
	thread_main(0);
	for (unsigned i = 1; i < burst; i++)
		thread_end(stacks[i]);
}

static void map_all(void)
{
	region = must_map(BURST * PAGE_SIZE, MAP_PRIVATE);
	for (unsigned i = 0; i < BURST; i++)
		stacks[i] = must_map(THREAD_STACK, MAP_PRIVATE);
	archers_stack = must_map(THREAD_STACK, MAP_PRIVATE);
}

void program_main(void)
{
	map_all();
	stay_on(work.index % count_cpus());
	thread_begin(archers_stack, 0, archer);
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		generation = round + 1;
		burst = 2 + rng_below(&rng, BURST - 1);
		together = rng_below(&rng, 2);
		run_burst(&rng);
		progress(round + 1);
	}
	smp_store_release(&stop, 1);
	shoot(&(struct rng){1});
	thread_end(archers_stack);
}
