/*
 * bench [GROUP...] [--cpus N] [--pages N]: the groups that are named, or all. --cpus is for how many
 * threads the group `scale` goes up to; --pages is how many touched pages an operation has at most;
 * --meter is for a kernel that has one (meter.c).
 */
#include "tests/user/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned cpus = 1;

static void scale(void)
{
	bench_scale(cpus);
}

static const struct group {
	const char *name;
	void (*run)(void);
} groups[] = {
	{"calls", bench_calls},		{"faults", bench_faults},
	{"ranges", bench_ranges},	{"forks", bench_forks},
	{"workloads", bench_workloads}, {"sweep", bench_sweep},
	{"threads", bench_threads},	{"scale", scale},
};

static unsigned chosen; /* a bit for each */

static bool choose(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (!strcmp(name, groups[i].name)) {
			chosen |= 1U << i;
			return true;
		}
	return false;
}

/*
 * Linux hands its init the words of its own command line, too: there, what is unknown is not ours.
 */
static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--cpus") && i + 1 < argc)
			cpus = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--pages") && i + 1 < argc)
			pages_max = atoi(argv[++i]);
		else if (!strcmp(argv[i], "--meter"))
			meter_on = true;
		else if (!choose(argv[i]) && getpid() != 1)
			fail("usage: there is no group %s", argv[i]);
	}
	if (!chosen)
		chosen = ~0U;
	if (cpus < 1)
		fail("usage: --cpus takes a number from 1 on");
	if (pages_max < 1)
		fail("usage: --pages takes a number from 1 on");
}

int main(int argc, char **argv)
{
	/* Ticks since reset, as soon as there is a user. */
	printf("bench boot ticks=%lu\n", rdtsc());
	fflush(stdout);
	parse(argc, argv);
	settle();
	calibrate();
	child_init();
	region_init();
	measure_floor();
	for (unsigned i = 0; i < ARRAY_SIZE(groups); i++)
		if (chosen & 1U << i) {
			groups[i].run();
			print_reports();
		}
	printf("bench done\n");
	leave(0);
}
