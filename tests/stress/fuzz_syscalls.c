/*
 * Suite `fuzz-syscalls`: every number with hostile arguments, jumps to bad addresses, every `int
 * n`.
 *
 * Oracle: those of stress.h, and that the kernel's half stays unreadable. Below, in ring 3:
 * tests/user/fuzz_syscalls.c. `--rounds 4000` makes some hundred thousand calls.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "fuzz_syscalls",
		.processes = 2,
		.pages = 64,
		.rounds = 24,
		.must_count = {CNT_PAGE_FAULTS, CNT_REFUSED_FAULTS},
		.nr_must_count = 2,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"fuzz", run},
};
KTEST_SUITE(fuzz_syscalls_suite, "fuzz-syscalls", "hostile system calls, jumps and interrupts",
	    true, cases);
