/*
 * Suite `sequences`: all short sequences of operations on one page table, by a parent and its
 * children.
 *
 * Oracle: a model of bytes in ring 3, tests/user/sequences.c, and those of stress.h. The rounds are
 * groups of the longer sequences, from one on that the seed chooses; tests/system/test_sequences.py
 * asks for all of them.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "sequences",
		.processes = 1,
		.rounds = 12,
		.must_count = {CNT_TABLES_PROTECTED, CNT_TABLES_PUSHED_DOWN, CNT_TABLES_FILLED,
			       CNT_TABLES_DROPPED, CNT_TABLES_MOVED},
		.nr_must_count = 5,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"sequences", run},
};
KTEST_SUITE(sequences_suite, "sequences", "all short sequences of operations on one table", true,
	    cases);
