/*
 * The floor, on a Pteron that was built with METER=1 (tests/bench/meter.c): what each measured
 * function made the kernel do, in its last repetition, and what the parts cost that no kernel can
 * avoid: an exception and a system call whose handlers do nothing, and what tests/bench/floor.h has. Ticks of such a kernel are nobody's
 * figures.
 */
#include "tests/bench/floor.h"
#include "tests/user/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS 64 /* of measure_calls() */
#define UNMAPPED ((char *)(90UL << 30))

enum { METER_READ, METER_PROBE_ON, METER_PROBE_OFF };

/* As read_counts() of tests/bench/meter.c gives them: of this CPU, since its boot. */
struct counts {
	uint64_t faults, calls, copies, hypervisor;
};

bool meter_on;
static struct counts before, after;

static void meter(unsigned what, struct counts *counts)
{
	CHECK(syscall(SYS_perf_event_open, what, counts) == 0);
}

/* The kernel reads its counts before it writes them: by then their page must be this process's own. */
void meter_start(void)
{
	*(volatile uint64_t *)&before.faults = 0;
	if (meter_on)
		meter(METER_READ, &before);
}

void meter_stop(void)
{
	if (meter_on)
		meter(METER_READ, &after);
}

const char *meter_text(void)
{
	static char text[METER_TEXT_SIZE];

	if (meter_on) /* the meter's own call is one */
		snprintf(text, sizeof(text), " f=%lu c=%lu k=%lu h=%lu",
			 after.faults - before.faults, after.calls - before.calls - 1,
			 after.copies - before.copies, after.hypervisor - before.hypervisor);
	return text;
}

static void report_part(const char *name, uint64_t start, uint64_t end, unsigned n)
{
	report("%s ticks=%lu reps=%u", name, (end - start - overhead) / n, n);
}

static void measure_faults(void)
{
	uint64_t start = rdtsc(), end;

	FLOOR_FAULTS(UNMAPPED);
	end = rdtsc();
	report_part("floor_exception", start, end, FLOOR_PROBES);
}

static void measure_calls(void)
{
	uint64_t start = rdtsc(), end;

	__asm__ volatile(".rept 64\n\tsyscall\n\t.endr"
			 :
			 : "a"(SYS_getppid)
			 : "rcx", "r11", "memory");
	end = rdtsc();
	report_part("floor_syscall", start, end, CALLS);
}

/* Not of the program's own pages: how many these are is in the figures of each fork. */
static void *map_scratch(size_t len)
{
	CHECK(mmap(UNMAPPED, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		   -1, 0) == UNMAPPED);
	return memset(UNMAPPED, 1, len);
}

static void measure_pages(void)
{
	char *pages = map_scratch(2 * PAGE_SIZE);
	uint64_t start = rdtsc(), end;

	floor_clear(pages);
	end = rdtsc();
	report_part("floor_clear", start, end, 1);
	start = rdtsc();
	floor_copy(pages + PAGE_SIZE, pages);
	end = rdtsc();
	report_part("floor_copy", start, end, 1);
	CHECK(munmap(pages, 2 * PAGE_SIZE) == 0);
}

static void measure_entries(void)
{
	struct floor_entries *e = map_scratch(sizeof(*e));
	uint64_t start, end;

	floor_fill(e);
	start = rdtsc();
	floor_change(e);
	end = rdtsc();
	report_part("floor_change", start, end, FLOOR_ENTRIES);
	start = rdtsc();
	CHECK(floor_free(e) != NULL);
	end = rdtsc();
	report_part("floor_free", start, end, FLOOR_ENTRIES);
	CHECK(munmap(e, sizeof(*e)) == 0);
}

void measure_floor(void)
{
	if (!meter_on)
		return;
	measure_pages();
	measure_entries();
	print_reports(); /* so that the pages of what follows are there */
	meter(METER_PROBE_ON, NULL);
	measure_faults();
	measure_calls();
	meter(METER_PROBE_OFF, NULL);
	print_reports();
}
