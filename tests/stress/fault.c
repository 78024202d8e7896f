/*
 * Suite `fault`: many CPUs fault the same and neighbouring pages, private and shared.
 *
 * Oracle: no write is ever lost to a page that another CPU's fault replaced, and those of stress.h.
 * Below, in ring 3: tests/user/fault.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "fault",
		.processes = 2,
		.pages = 512,
		.rounds = 500,
		.must_count = {CNT_PAGE_FAULTS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"fault", run},
};
KTEST_SUITE(fault_suite, "fault", "CPUs fault the same and neighbouring pages", true, cases);
