/*
 * Sleepers on all CPUs; see ticks.h.
 */
#include "tests/unit/lib/ticks.h"

#include "kernel/debug/panic.h"
#include "kernel/sched/timeout.h"
#include "kernel/time/clock.h"
#include "tests/ktest.h"

static struct {
	u64 ns;
	void (*fn)(void);
} pause;

static void sleep_there(void *unused __unused)
{
	BUG_ON(sleep_until(clock_ns() + pause.ns));
	if (pause.fn)
		pause.fn();
}

void ticks_pass(u64 ns, void (*fn)(void))
{
	const unsigned tasks = task_count();

	pause.ns = ns;
	pause.fn = fn;
	for_each_online_cpu(cpu)
		run_on_cpu(cpu, "sleeper", sleep_there, NULL);
	await_tasks(tasks);
}

struct sched_tuning ticks_end(void)
{
	const struct sched_tuning tuning = sched_tuning;

	sched_tune((struct sched_tuning){.quantum_us = 0});
	ticks_pass(TICK_PERIOD_NS(tuning.quantum_us), NULL);
	return tuning;
}
