/*
 * Suite `tables`: whole page tables change at once, while others use them.
 *
 * Oracle: what is announced of a block is what every CPU sees, contents stay with their owner, and
 * those of stress.h. Below, in ring 3: tests/user/tables.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "tables",
		.processes = 2,
		.pages = 128,
		.rounds = 100,
		.must_count = {CNT_TABLES_PROTECTED, CNT_TABLES_PUSHED_DOWN, CNT_TABLES_FILLED,
			       CNT_TABLES_DROPPED, CNT_TABLES_MOVED},
		.nr_must_count = 5,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"tables", run},
};
KTEST_SUITE(tables_suite, "tables", "whole page tables change while others use them", true, cases);
