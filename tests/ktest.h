/*
 * The in-kernel test framework: suites that register themselves, KTAP output, and verdicts.
 *
 * A suite is one file. It defines its cases as functions and ends with KTEST_SUITE(...), which puts
 * a pointer into the section .ktests; no list has to be edited. A case that returns without a
 * failed KEXPECT has passed; a suite without cases has failed.
 */
#pragma once

#include "kernel/cpu/rng.h"
#include "kernel/lib/types.h"

struct ktest;
struct task;

struct ktest_case {
	const char *name;
	void (*run)(struct ktest *t);
};

struct ktest_suite {
	const char *name, *what;
	const struct ktest_case *cases;
	unsigned nr_cases;
	bool by_default; /* part of `suite=default` */
};

/* The running case. */
struct ktest {
	const struct ktest_suite *suite;
	unsigned failures;
	const char *skipped; /* why, or NULL */
	struct rng rng;	     /* of the seed and the suite's name */
	u64 rounds;	     /* asked for on the command line; 0: the suite's own choice */
};

#define KTEST_SUITE(id, suite_name, description, is_default, suite_cases)                          \
	static const struct ktest_suite id = {                                                     \
		.name = suite_name,                                                                \
		.what = description,                                                               \
		.cases = suite_cases,                                                              \
		.nr_cases = ARRAY_SIZE(suite_cases),                                               \
		.by_default = is_default,                                                          \
	};                                                                                         \
	static const struct ktest_suite *const id##_ptr __section(".ktests") __used = &id

/*
 * Choose the suites of @suites (or default, all), and of their cases those of @cases, if it is not
 * empty; names are separated by commas. False after saying which is not known. Both must live on.
 */
bool ktest_select(const char *suites, const char *cases);
/* Run what was selected; true if every case passed. */
bool ktest_run_selected(void);

void ktest_fail(struct ktest *t, const char *file, int line, const char *fmt, ...) __printf(4, 5);
/* This case cannot run here; @why is printed. */
void ktest_skip(struct ktest *t, const char *why);
/* Give way: on this CPU, and where QEMU has one thread for all CPUs, to the others. */
void let_others_run(void);
/* Start a kernel thread that has never been on any CPU but @cpu. It panics when out of memory. */
struct task *run_on_cpu(unsigned cpu, const char *name, void (*fn)(void *arg), void *arg);
/*
 * Until there are no more than @nr_before tasks, as task_count() said before the caller started
 * some: whoever runs after the last one frees it, and what is counted next must not find half of
 * it.
 */
void await_tasks(unsigned nr_before);
#define KEXPECT(t, cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			ktest_fail(t, __FILE__, __LINE__, "expected %s", #cond);                   \
	} while (0)
#define KEXPECT_EQ(t, a, b)                                                                        \
	do {                                                                                       \
		s64 __x = (s64)(a), __y = (s64)(b);                                                \
		if (__x != __y)                                                                    \
			ktest_fail(t, __FILE__, __LINE__,                                          \
				   "expected %s == %s, found %#lx and %#lx", #a, #b, __x, __y);    \
	} while (0)
