/*
 * Suite `early`: several threads take the same pages away at once, and none may return before all
 * CPUs know; and pages are copied on write under the eyes of others.
 *
 * Oracle: tests/user/early.c's in ring 3, and those of stress.h. Preemption points often preempt
 * here: what stands between an unlock and a flush, or a new entry and its flush, shows then.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "early",
		.processes = 1,
		.rounds = 5,
		.tuning = {.point_permille = 100},
		.must_count = {CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"early", run},
};
KTEST_SUITE(early_suite, "early", "who takes pages away second must not return first", true, cases);
