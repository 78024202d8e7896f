/*
 * Suite `fork`: threaded processes fork while their threads write.
 *
 * Oracle: parent and child never see what the other wrote after the fork, and those of stress.h.
 * Below, in ring 3: tests/user/fork.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "fork",
		.processes = 2,
		.pages = 700,
		.rounds = 200,
		.must_count = {CNT_FORKS, CNT_COW_COPIES, CNT_COW_REUSES},
		.nr_must_count = 3,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"fork", run},
};
KTEST_SUITE(fork_suite, "fork", "copy-on-write storms, forks of threaded processes", true, cases);
