/*
 * Suite `sparse`: one page in each of very many tables.
 *
 * Oracle: tests/user/sparse.c's in ring 3, and those of stress.h. On the shadow backend the tables
 * must have been too many for its frames.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "sparse",
		.processes = 2,
		.pages = 256,
		.rounds = 12,
		MUST_COUNT(CNT_PAGE_FAULTS),
	};
	u64 fills = counter_sum(CNT_SHADOW_FILLS), reclaims = counter_sum(CNT_SHADOW_RECLAIMS);

	stress_run(t, &s);
	if (counter_sum(CNT_SHADOW_FILLS) != fills)
		KEXPECT(t, counter_sum(CNT_SHADOW_RECLAIMS) > reclaims);
}

static const struct ktest_case cases[] = {
	{"sparse", run},
};
KTEST_SUITE(sparse_suite, "sparse", "one page in each of very many tables", true, cases);
