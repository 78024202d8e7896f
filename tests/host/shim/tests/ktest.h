/*
 * The kernel's test framework, as far as suites of pure code need it, for the host: suites register
 * themselves by constructors, and tests/host/main.c runs them.
 */
#pragma once

#include "kernel/lib/xorshift.h"

struct ktest;

struct ktest_case {
	const char *name;
	void (*run)(struct ktest *t);
};

struct ktest {
	unsigned failures;
	struct rng rng;
};

void host_register(const char *suite, const struct ktest_case *cases, unsigned n);
void host_fail(struct ktest *t, const char *file, int line, const char *what);

#define KTEST_SUITE(id, suite_name, description, is_default, suite_cases)                          \
	__attribute__((constructor)) static void id##_register(void)                               \
	{                                                                                          \
		host_register(suite_name, suite_cases, ARRAY_SIZE(suite_cases));                   \
	}                                                                                          \
	static_assert(sizeof(description) > 1 && (is_default || !is_default), "")
#define KEXPECT(t, cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			host_fail(t, __FILE__, __LINE__, #cond);                                   \
	} while (0)
#define KEXPECT_EQ(t, a, b) KEXPECT(t, (s64)(a) == (s64)(b))
