/*
 * Groups `forks` and `sweep`: the call alone, with the child's end and the wait for it, and what
 * the size of a mapping costs that is hardly touched.
 *
 * A fork is over when either of the two is back in user mode. `fork_parent` waits for the parent:
 * on a kernel that runs the child first, on the same CPU, the child's whole life is in it.
 */
#include "tests/user/bench/bench.h"

#define SWEEP_MAX (1UL << 18) /* a GiB */
#define SWEEP_STEP 4

static void fork_call(const struct range *r)
{
	(void)r;
	fork_child();
}

static void wait_for_it(const struct range *r)
{
	(void)r;
	wait_child();
}

static void whole_life(const struct range *r)
{
	(void)r;
	fork_and_wait();
}

static const struct operation operations[] = {
	{"fork", DENSITIES, map_touched, fork_call, wait_for_it, true},
	{"fork_parent", ALIGNED, map_touched, fork_call, wait_for_it, false},
	{"fork_exit_wait", DENSITIES, map_touched, whole_life, NULL, false},
};

void bench_forks(void)
{
	measure_operations(operations, ARRAY_SIZE(operations));
}

static const struct operation swept[] = {
	{"munmap", 0, map_touched, unmap_range, NULL, false},
	{"mprotect_rw_r", 0, map_touched, take_right, NULL, false},
	{"fork", 0, map_touched, fork_call, wait_for_it, true},
};

void bench_sweep(void)
{
	static const unsigned touched[] = {1, TABLE_PAGES};

	for (unsigned i = 0; i < ARRAY_SIZE(swept); i++)
		for (unsigned k = 0; k < ARRAY_SIZE(touched); k++)
			for (unsigned m = touched[k]; m <= SWEEP_MAX; m *= SWEEP_STEP)
				measure_mapped(&swept[i], touched[k], m);
}
