/*
 * Suite `mix`: every operation at once, in random sizes.
 *
 * Oracle: a model of each thread's memory agrees with it after every step, and those of stress.h.
 * Below, in ring 3: tests/user/mix.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "mix",
		.processes = 3,
		.pages = 2600,
		.rounds = 700,
		.must_count = {CNT_FORKS, CNT_SHOOTDOWNS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"mix", run},
};
KTEST_SUITE(mix_suite, "mix", "every operation at once, in random sizes", true, cases);
