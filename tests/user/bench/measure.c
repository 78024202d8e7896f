/*
 * Reading the counter, medians, and the lines of the report. One thread only.
 */
#include "tests/user/bench/bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

#define MAX_LINES 160
#define LINE_SIZE 160
#define CALIBRATIONS 15
#define CALL_REPEATS 15
#define SETTLE_SECONDS 20

uint64_t overhead;
static char lines[MAX_LINES][LINE_SIZE];
static unsigned nr_lines;

void leave(int status)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	if (getpid() == 1)
		reboot(RB_AUTOBOOT); /* QEMU ends here; a kernel that has no reboot ends with init
				      */
	exit(status);
}

void fail(const char *fmt, ...)
{
	va_list args;

	printf("bench FAIL ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	leave(1);
}

void settle(void)
{
	if (getpid() == 1)
		sleep(SETTLE_SECONDS);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t median(uint64_t *values, unsigned n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

uint64_t most(const uint64_t *values, unsigned n)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < n; i++)
		if (values[i] > found)
			found = values[i];
	return found;
}

void calibrate(void)
{
	uint64_t ticks[CALIBRATIONS];

	for (unsigned i = 0; i < CALIBRATIONS; i++) {
		uint64_t start = rdtsc();

		ticks[i] = rdtsc() - start;
	}
	overhead = median(ticks, CALIBRATIONS);
}

void report(const char *fmt, ...)
{
	va_list args;
	int n;

	CHECK(nr_lines < MAX_LINES);
	va_start(args, fmt);
	n = vsnprintf(lines[nr_lines++], LINE_SIZE, fmt, args);
	va_end(args);
	CHECK(n < LINE_SIZE);
}

void print_reports(void)
{
	for (unsigned i = 0; i < nr_lines; i++)
		printf("bench %s\n", lines[i]);
	nr_lines = 0;
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

static void measure_any(const char *name, void (*fn)(void), void (*finish)(void), bool forks)
{
	uint64_t ticks[CALL_REPEATS + 1], worst;

	for (unsigned i = 0; i <= CALL_REPEATS; i++) {
		uint64_t start, end;

		meter_start();
		start = rdtsc();
		fn();
		end = rdtsc();
		meter_stop();
		ticks[i] = (forks ? fork_end(start, end) : end) - start - overhead;
		if (finish)
			finish();
	}
	worst = most(ticks, CALL_REPEATS + 1);
	/* The first is there to warm things up. */
	report("%s ticks=%lu worst=%lu reps=%d%s", name, median(ticks + 1, CALL_REPEATS), worst,
	       CALL_REPEATS, meter_text());
}

void measure_call(const char *name, void (*fn)(void), void (*finish)(void))
{
	measure_any(name, fn, finish, false);
}

void measure_fork(const char *name, void (*finish)(void))
{
	measure_any(name, fork_child, finish, true);
}
