/*
 * Suite `remap`: processes map and unmap the frames of one device.
 *
 * Oracle: each mapping shows the frames that were asked for, and those of stress.h. Below, in ring
 * 3: tests/user/remap.c.
 */
#include "tests/stress/stress.h"

static void run(struct ktest *t)
{
	static const struct stress s = {
		.program = "remap",
		.processes = 3,
		.pages = 512,
		.rounds = 150,
		.must_count = {CNT_DEVICE_PAGES},
		.nr_must_count = 1,
	};

	stress_run(t, &s);
}

static const struct ktest_case cases[] = {
	{"remap", run},
};
KTEST_SUITE(remap_suite, "remap", "fixed frames are mapped by several processes", true, cases);
