/*
 * What all stress suites share: run a ring-3 program in several processes, audit while it runs, and
 * check afterwards that everything was given back.
 */
#pragma once

#include "kernel/debug/counters.h"
#include "kernel/sched/sched.h"
#include "tests/ktest.h"

struct stress {
	const char *program;
	unsigned processes;
	unsigned pages;
	u64 rounds; /* of a thread when there are 4; fewer when there are more, so that the work is
		       fixed */
	struct sched_tuning tuning; /* zero: the default; the quantum is for 4 CPUs or fewer */
	/* Something that must have happened at least once, or the suite proves nothing; 0: none. */
	enum counter must_count[5];
	unsigned nr_must_count;
};

/*
 * Oracles, besides the program's own: every process ends with status 0; every audit finds nothing;
 * user pages, page tables and kernel objects in use are as many after as before.
 */
void stress_run(struct ktest *t, const struct stress *s);

/* Fields of struct stress: which counters must have moved. */
#define MUST_COUNT(...)                                                                            \
	.must_count = {__VA_ARGS__},                                                               \
	.nr_must_count = sizeof((enum counter[]){__VA_ARGS__}) / sizeof(enum counter)

/*
 * The suite @suite_name of one case, which runs the program tests/user/@id.c; what follows the
 * description are fields of struct stress.
 */
#define STRESS_SUITE(id, suite_name, description, ...)                                             \
	static void run_##id(struct ktest *t)                                                      \
	{                                                                                          \
		static const struct stress s = {.program = #id, __VA_ARGS__};                      \
                                                                                                   \
		stress_run(t, &s);                                                                 \
	}                                                                                          \
	static const struct ktest_case cases_of_##id[] = {{#id, run_##id}};                        \
	KTEST_SUITE(suite_##id, suite_name, description, true, cases_of_##id)
