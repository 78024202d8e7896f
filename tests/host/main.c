/*
 * The host's test runner: every registered case with ten seeds, TAP out, non-zero at any failure.
 */
#include "tests/ktest.h"

#include <stdarg.h>
#include <stdio.h>

#define MAX_SUITES 16
#define SEEDS 10

static struct {
	const char *name;
	const struct ktest_case *cases;
	unsigned n;
} suites[MAX_SUITES];
static unsigned nr_suites;

void host_register(const char *suite, const struct ktest_case *cases, unsigned n)
{
	if (nr_suites == MAX_SUITES)
		__builtin_trap();
	suites[nr_suites].name = suite;
	suites[nr_suites].cases = cases;
	suites[nr_suites++].n = n;
}

void host_fail(struct ktest *t, const char *file, int line, const char *what)
{
	if (t->failures++ < 5)
		printf("# %s:%d: expected %s\n", file, line, what);
}

/* The kernel's console, for the code under test. */
void printk(const char *fmt, ...);
void printk(const char *fmt __unused, ...) {}

/* An assertion of the code under test. */
void panic(const char *fmt, ...) __noreturn;
void panic(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	__builtin_trap();
}

int main(void)
{
	unsigned n = 0, failed = 0;

	for (unsigned s = 0; s < nr_suites; s++) {
		for (unsigned c = 0; c < suites[s].n; c++) {
			unsigned failures = 0;

			for (u64 seed = 1; seed <= SEEDS; seed++) {
				struct ktest t = {.rng = rng_stream(seed, c)};

				suites[s].cases[c].run(&t);
				failures += t.failures;
			}
			printf("%sok %u %s.%s\n", failures ? "not " : "", ++n, suites[s].name,
			       suites[s].cases[c].name);
			failed += failures != 0;
		}
	}
	printf("1..%u\n", n);
	return failed || !n;
}
