/*
 * Suite `stack`: threads extend one stack by faults while others protect, drop, fork and map around
 * it.
 *
 * Oracle: stamps, the gap below the stack, and those of stress.h. Below, in ring 3:
 * tests/user/stack.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "stack",
		.processes = 2,
		.pages = 512,
		.rounds = 40,
		.must_count = {CNT_LAZY_SECTIONS, CNT_MMAP_LOCK_FAULTS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"stack", run},
};
KTEST_SUITE(stack_suite, "stack", "stacks grow under threads that change them", true, cases);
