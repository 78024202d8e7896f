/*
 * dirty: pages are written for the first time while they are dropped.
 *
 * A backend that queues makes a cleared entry effective at the leave; what the CPUs write until
 * then sets its D bit, and the kernel must find it. So one thread fills the area with clean pages,
 * without touching them, and drops it again, while each of the others writes to a few of them: few,
 * or all were dirty before the first is cleared. Oracle: the kernel's dirty ledger: no page is
 * freed as clean that carries the magic number of a stamp (mm/frame/page_alloc.c).
 */
#include "tests/user/lib/user.h"

#define WRITES 16
#define LOOKS 2000 /* at the phase, before others may run */

static unsigned long region;
/* Odd: the area is full, and being dropped. Written by thread 0. */
static u64 phase;

static void drop_all(void)
{
	size_t len = work.pages * PAGE_SIZE;

	for (u64 round = 0; round < work.rounds; round++) {
		CHECK(!sys_madvise(region, len, MADV_POPULATE_WRITE), "populating");
		smp_store_release(&phase, 2 * round + 1);
		CHECK(!sys_madvise(region, len, MADV_DONTNEED), "dropping");
		smp_store_release(&phase, 2 * round + 2);
		progress(round + 1);
	}
}

static void write_some(struct rng *rng)
{
	for (unsigned i = 0; i < WRITES; i++) {
		unsigned long page = region + rng_below(rng, work.pages) * PAGE_SIZE;

		((volatile struct stamp *)stamp_of(page))->magic = PAGE_STAMP_MAGIC;
	}
}

static void write_while_dropping(unsigned thread)
{
	struct rng rng = thread_rng(thread, 0);
	u64 served = 0, now;

	while ((now = smp_load_acquire(&phase)) < 2 * work.rounds) {
		if (now & 1 && now != served) {
			write_some(&rng);
			served = now;
		}
		for (unsigned i = 0; i < LOOKS && smp_load_acquire(&phase) == now; i++)
			cpu_relax();
		sys_yield(); /* there may be fewer CPUs than threads */
	}
}

static void thread_main(unsigned i)
{
	if (i == 0)
		drop_all();
	else
		write_while_dropping(i);
}

void program_main(void)
{
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
