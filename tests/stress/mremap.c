/*
 * Suite `mremap`: threads move mappings about in PTE pages that they share.
 *
 * Oracle: contents follow their mapping, and nothing stays behind, and those of stress.h. Below, in
 * ring 3: tests/user/mremap.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "mremap",
		.processes = 2,
		.pages = 1500,
		.rounds = 300,
		.must_count = {CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"mremap", run},
};
KTEST_SUITE(mremap_suite, "mremap", "mappings move in shared PTE pages", true, cases);
