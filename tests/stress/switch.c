/*
 * Suite `switch`: preemption and migration inside lazy sections.
 *
 * The programs of `mix` and `fault` run with more threads than CPUs, a timer that fires after a
 * random few microseconds, preemption points that the seed makes preempt, and a scheduler that
 * sends every third preempted task to another CPU.
 *
 * Oracle: theirs and those of stress.h; the assertions of the lazy mode (mode and queue agree at
 * every enter, leave, unlock and switch); and context switches inside sections must really have
 * happened.
 */
#include "tests/stress/stress.h"

#define TUNING                                                                                     \
	{                                                                                          \
		.quantum_us = 60, .migrate_permille = 330, .point_permille = 3                     \
	}

static void run_mix(struct ktest *t)
{
	static const struct stress s = {
		.program = "mix",
		.processes = 3,
		.pages = 2600,
		.rounds = 250,
		.tuning = TUNING,
		MUST_COUNT(CNT_SECTION_PREEMPTED, CNT_MIGRATIONS),
	};

	stress_run(t, &s);
}

static void run_zap(struct ktest *t)
{
	static const struct stress s = {
		.program = "zap",
		.processes = 2,
		.pages = 1200,
		.rounds = 25,
		.tuning = TUNING,
		MUST_COUNT(CNT_SECTION_PREEMPTED, CNT_MIGRATIONS),
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"mix", run_mix},
	{"zap", run_zap},
};
KTEST_SUITE(switch_suite, "switch", "preemption and migration inside lazy sections", true, cases);
