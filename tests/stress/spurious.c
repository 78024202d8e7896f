/*
 * Suite `spurious`: faults while the permission that they lack is being granted.
 *
 * Oracle: no fault that was overtaken by its own repair is taken for an error, and those of
 * stress.h. Below, in ring 3: tests/user/spurious.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "spurious",
		.processes = 2,
		.pages = 256,
		.rounds = 60,
		.must_count = {CNT_SPURIOUS_FAULTS, CNT_REFUSED_FAULTS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"spurious", run},
};
KTEST_SUITE(spurious_suite, "spurious", "faults while a permission upgrade is pending", true,
	    cases);
