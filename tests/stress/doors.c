/*
 * Suite `doors`: the ways into the kernel and back, with odd registers.
 *
 * Oracle: tests/user/doors.c's in ring 3: what a program has in its registers is its own on each
 * way, nobody else's, and never the kernel's; those of stress.h; and the assertions at the doors
 * (kernel/entry/doors.h). The second case finds what the first one's programs left in the FPU.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "doors",
		.processes = 2,
		.rounds = 4,
		.tuning = {.quantum_us = 150, .migrate_permille = 200},
		MUST_COUNT(CNT_FORKS, CNT_KILLED_TASKS),
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"doors", run},
	{"doors_again", run},
};
KTEST_SUITE(doors_suite, "doors", "the ways into the kernel, with odd registers", true, cases);
