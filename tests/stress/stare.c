/*
 * Suite `stare`: pages that are taken away while other CPUs look at them from user mode.
 *
 * Oracle: tests/user/stare.c's in ring 3, and those of stress.h.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "stare",
		.processes = 1,
		.rounds = 20,
		.must_count = {CNT_SHOOTDOWNS},
		.nr_must_count = 1,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"stare", run},
};
KTEST_SUITE(stare_suite, "stare", "pages taken away while others look at them", true, cases);
