/*
 * Suite `zap`: threads drop pages that others read and write.
 *
 * Oracle: what was dropped is never seen again, and those of stress.h. Below, in ring 3:
 * tests/user/zap.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "zap",
		.processes = 2,
		.pages = 1200,
		.rounds = 150,
		.must_count = {CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"zap", run},
};
KTEST_SUITE(zap_suite, "zap", "pages are dropped while other CPUs use them", true, cases);
