/*
 * preempt: timers that go off at seeded moments on each CPU, whatever runs there.
 *
 * A timer is a thread of one CPU that sleeps for a random time of microseconds; on Linux it has a
 * real-time priority, so that it preempts what runs there when it wakes, in the kernel too. With
 * pages the other threads change the rights of pages of their own, drop and write them: each page
 * holds what its thread has put there, and is not written without the right. A timer finds its
 * registers and its page as they were before it slept. That is the oracle. With 0 pages there are
 * timers alone, for ever: beside another program.
 */
#include "tests/user/lib/user.h"

#define CLOCK_MONOTONIC 1
#define SCHED_FIFO 1
#define PRIORITY 50
#define SHORTEST_US 60
#define LONGEST_US 250
#define NAPS 8 /* of a timer in a round */

static unsigned long region;
static unsigned part; /* pages of a thread */
static unsigned cpus;

static void nap(struct rng *rng)
{
	const long ns = (SHORTEST_US + rng_below(rng, LONGEST_US - SHORTEST_US)) * 1000;
	const long time[2] = {0, ns};
	long ret = syscall6(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (long)time, 0, 0, 0);

	CHECK(!ret, "clock_nanosleep of %ld ns answers %ld", ns, ret);
}

/* On CPU @cpu, before all that is not real-time. A kernel without such priorities has none. */
static void become_timer(unsigned cpu)
{
	const unsigned long mask = 1UL << cpu;
	const int priority = PRIORITY;
	long ret = syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask);

	CHECK(ret >= 0, "sched_setaffinity to CPU %u answers %ld", cpu, ret);
	ret = syscall3(SYS_sched_setscheduler, 0, SCHED_FIFO, &priority);
	CHECK(!ret || ret == -ENOSYS || ret == -EPERM, "sched_setscheduler answers %ld", ret);
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

static void timer_round(unsigned i, unsigned long page, u64 round, struct rng *rng)
{
	if (page)
		stamp_write(page, page, round + 1);
	for (unsigned k = 0; k < NAPS; k++)
		nap(rng);
	if (page)
		stamp_check(page, page, round + 1, sys_getpid(), sys_gettid());
	CHECK(i < work.threads, "timer %u", i);
}

static void change(unsigned long page, u64 round, struct rng *rng)
{
	stamp_write(page, page, round + 1);
	CHECK(!sys_mprotect(page, PAGE_SIZE, PROT_READ), "mprotect");
	stamp_check(page, page, round + 1, sys_getpid(), 0);
	CHECK_PAGE(page, probe_write(page + 64) == -EFAULT, "a page without the right is written");
	CHECK(!sys_mprotect(page, PAGE_SIZE, PROT_RW), "mprotect");
	if (rng_below(rng, 2))
		return;
	CHECK(!sys_madvise(page, PAGE_SIZE, MADV_DONTNEED), "madvise");
	stamp_check_zero(page);
}

static void worker_round(unsigned long first, u64 round, struct rng *rng)
{
	for (unsigned k = 0; k < part; k++)
		change(first + rng_below(rng, part) * PAGE_SIZE, round, rng);
}

/* The even ones are timers; where there are no pages, all. */
static void thread_main(unsigned i)
{
	bool is_timer = !part || i % 2 == 0;
	unsigned long first = part ? region + i * part * PAGE_SIZE : 0;

	if (is_timer)
		become_timer((part ? i / 2 : i) % cpus);
	for (u64 round = 0; !part || round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		if (is_timer)
			timer_round(i, first, round, &rng);
		else
			worker_round(first, round, &rng);
		if (part && i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	cpus = count_cpus();
	part = work.pages / work.threads;
	if (part)
		region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
