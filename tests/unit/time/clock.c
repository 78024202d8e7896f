/*
 * Suite `clock`: this machine's clock. The rate that was found at the boot agrees with every timer
 * that there is, and no CPU sees a time before one that another CPU has seen.
 */
#include "kernel/time/clock.h"

#include "drivers/timers.h"
#include "kernel/arch/io.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/sched/sched.h"
#include "tests/ktest.h"

#define LOOKS 20000

static void timers_agree(struct ktest *t)
{
	const u64 tsc_hz = clock_tsc_hz();
	const struct clock_counter *timers;
	unsigned n;

	timers = timers_found(&n);
	if (!n) {
		ktest_skip(t, "no timer was asked: the hypervisor tells");
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		u64 hz = measure_hz(&timers[i], rdtsc);

		if (hz)
			KEXPECT(t, hz > tsc_hz / 100 * 99 && hz < tsc_hz / 100 * 101);
		else
			printk("    # %s: no two measurements agree; is the host busy?\n",
			       timers[i].name);
	}
}

static void the_rate_is_the_clocks(struct ktest *t)
{
	u64 ticks = rdtsc(), ns = clock_ns();

	clock_delay_ns(2000000);
	ticks = rdtsc() - ticks;
	ns = clock_ns() - ns;
	KEXPECT(t, ns >= 2000000);
	/* Between the two readings of each pair the host may stop the CPU for a while. */
	if (ns < 4000000)
		KEXPECT(t, clock_ticks_to_ns(ticks) > ns - ns / 8);
}

static u64 latest; /* that any CPU has seen */
static bool went_back;

/* What was seen before this CPU asks cannot be later than what it is told. */
static void look_at_the_clock(void *arg __unused)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		u64 seen = smp_load_acquire(&latest), now = clock_ns();

		if (now < seen)
			WRITE_ONCE(went_back, true);
		while (now > seen && !try_cmpxchg(&latest, &seen, now))
			;
	}
}

static void never_back(struct ktest *t)
{
	const unsigned tasks = task_count();

	latest = 0;
	went_back = false;
	for_each_online_cpu(cpu)
		run_on_cpu(cpu, "clock", look_at_the_clock, NULL);
	await_tasks(tasks);
	KEXPECT(t, !went_back);
}

static const struct ktest_case cases[] = {
	{"timers_agree", timers_agree},
	{"the_rate_is_the_clocks", the_rate_is_the_clocks},
	{"never_back", never_back},
};
KTEST_SUITE(clock_suite, "clock", "this machine's clock", true, cases);
