/*
 * Suite `usertable`: new slots of the top-level table, made by faults from user mode.
 *
 * Oracle: tests/user/usertable.c's in ring 3, and those of stress.h. On Xen user mode has an L4
 * table of its own, which must follow the kernel's at once: seeded bug user-l4-forgotten.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "usertable",
		.processes = 2,
		.rounds = 150,
		.must_count = {CNT_FORKS},
		.nr_must_count = 1,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"usertable", run},
};
KTEST_SUITE(usertable_suite, "usertable", "new L4 slots, reached from user mode first", true,
	    cases);
