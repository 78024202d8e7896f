/*
 * Suite `mprotect`: threads change rights in shared PTE pages and probe each other's pages.
 *
 * Oracle: once mprotect has returned, every CPU sees the rights that it set, and those of stress.h.
 * Below, in ring 3: tests/user/mprotect.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "mprotect",
		.processes = 2,
		.pages = 1400,
		.rounds = 300,
		.must_count = {CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"mprotect", run},
};
KTEST_SUITE(mprotect_suite, "mprotect", "rights change while other CPUs probe them", true, cases);
