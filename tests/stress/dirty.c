/*
 * Suite `dirty`: pages that are written for the first time while they are dropped.
 *
 * Oracle: the kernel's dirty ledger, and those of stress.h. Below, in ring 3: tests/user/dirty.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "dirty",
		.processes = 1,
		.pages = 300,
		.rounds = 60,
		.must_count = {CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"dirty", run},
};
KTEST_SUITE(dirty_suite, "dirty", "pages written while they are dropped", true, cases);
