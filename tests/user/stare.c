/*
 * stare: threads that look at a page from user mode without ever leaving it, while it is taken
 * away.
 *
 * What makes a CPU forget a translation by the way (a system call, a switch, an interrupt) hides a
 * missing invalidation. So here all but one thread stare: they read a page again and again and wait
 * for each other by memory alone. The other one writes a number into the page, drops it by madvise
 * or maps anew over it, and says so. Oracle: who has read that the page is gone finds zeros in it,
 * and who has read that the next number is there finds that.
 *
 * One thread dozes: it looks for a while and sleeps until another rings. A CPU without a task keeps
 * the address space loaded and is not asked to forget; when the thread comes back, in the middle of
 * an invalidation too, it has to see that it must.
 */
#include "tests/user/lib/user.h"

#define SPINS 4000 /* looks before a thread lets others run */
#define STEPS 24   /* of a round */
#define PAUSE 1500 /* turns of a loop between two rings */

enum { LEADER, STARER, DOZER, RINGER };

static struct barrier barrier;
static unsigned long page;
static u32 bell;
/* The number that the page holds; odd: it is gone, and the next number may be there already. So it
 * is at first. Written by thread 0. */
static u64 announced = 1;
/* What each thread has seen last. */
static struct {
	u64 seen;
	u64 pad[7];
} seen[MAX_THREADS];

/* Thread 0: until everybody has seen @step, or long enough. */
static void let_them_stare(u64 step)
{
	for (unsigned spin = 0; spin < SPINS; spin++) {
		unsigned n = 1;

		for (unsigned i = 1; i < work.threads; i++)
			n += smp_load_acquire(&seen[i].seen) >= step;
		if (n == work.threads)
			return;
		cpu_relax();
	}
	sys_yield();
}

static void take_away(u64 step)
{
	if (step & 2)
		CHECK(!sys_madvise(page, PAGE_SIZE, MADV_DONTNEED), "madvise");
	else
		CHECK(sys_mmap(page, PAGE_SIZE, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1,
			       0) == (long)page,
		      "mmap");
}

static void lead(u64 first)
{
	for (u64 step = first; step < first + 2 * STEPS; step++) {
		if (step & 1)
			take_away(step / 2);
		else
			*(volatile u64 *)page = step;
		smp_store_release(&announced, step);
		let_them_stare(step);
	}
}

/* One look. Only where nothing was announced meanwhile is it certain what must be there. */
static u64 look(void)
{
	u64 before = smp_load_acquire(&announced), found = *(volatile u64 *)page;

	/* The page may already be on its way to what comes next. */
	if (smp_load_acquire(&announced) != before)
		return before;
	if (before & 1)
		CHECK_PAGE(page, !found || found == before + 1,
			   "the page is gone (%lu), and holds %lu", before, found);
	else
		CHECK_PAGE(page, !found || found == before, "the page holds %lu, not %lu", found,
			   before);
	return before;
}

static void stare(unsigned i, u64 last)
{
	for (;;) {
		for (unsigned spin = 0; spin < SPINS; spin++) {
			u64 step = look();

			smp_store_release(&seen[i].seen, step);
			if (step >= last)
				return;
		}
		sys_yield();
	}
}

/* Few looks would find nothing: what was missed shows after the leader's call has ended. */
static void doze(unsigned i, u64 last)
{
	for (;;) {
		u32 rung = smp_load_acquire(&bell);

		for (unsigned spin = 0; spin < SPINS; spin++) {
			u64 step = look();

			smp_store_release(&seen[i].seen, step);
			if (step >= last)
				return;
		}
		futex_wait(&bell, rung);
	}
}

/* Until the dozer has seen the last step: it may have fallen asleep after that. */
static void ring(unsigned i, u64 last)
{
	while (smp_load_acquire(&seen[DOZER].seen) < last) {
		for (unsigned n = 0; n < PAUSE; n++)
			barrier();
		__atomic_fetch_add(&bell, 1, __ATOMIC_SEQ_CST);
		futex_wake(&bell, 1);
		smp_store_release(&seen[i].seen, smp_load_acquire(&announced));
		sys_yield(); /* there may be fewer CPUs than threads */
	}
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		u64 first = 2 + round * 2 * STEPS;

		barrier_wait(&barrier, work.threads);
		if (i == LEADER)
			lead(first);
		else if (i == DOZER && work.threads > RINGER)
			doze(i, first + 2 * STEPS - 1);
		else if (i == RINGER)
			ring(i, first + 2 * STEPS - 1);
		else
			stare(i, first + 2 * STEPS - 1);
		barrier_wait(&barrier, work.threads);
		if (i == LEADER)
			progress(round + 1);
	}
}

void program_main(void)
{
	page = must_map(PAGE_SIZE, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
