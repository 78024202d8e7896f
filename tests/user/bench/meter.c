/*
 * The floor, on a Pteron that was built with METER=1 (tests/bench/meter.c): what each measured
 * function made the kernel do, in its last repetition, and what the parts cost that no kernel can
 * avoid: an exception and a system call whose handlers do nothing, the clear and the copy of a page
 * by the instructions that have one for eight bytes, and the shortest loops that change the right of
 * each entry of a table, and that give back what each maps. Ticks of such a kernel are nobody's
 * figures.
 */
#include "tests/user/bench/bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROBES 64
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

void meter_start(void)
{
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

	__asm__ volatile(".rept 64\n\tmovb $0, (%%rax)\n\t.endr" : : "a"(UNMAPPED) : "memory");
	end = rdtsc();
	report_part("floor_exception", start, end, PROBES);
}

static void measure_calls(void)
{
	uint64_t start = rdtsc(), end;

	__asm__ volatile(".rept 64\n\tsyscall\n\t.endr"
			 :
			 : "a"(SYS_getppid)
			 : "rcx", "r11", "memory");
	end = rdtsc();
	report_part("floor_syscall", start, end, PROBES);
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
	void *source = UNMAPPED, *target = UNMAPPED + PAGE_SIZE;
	unsigned long n = PAGE_SIZE / 8;
	uint64_t start, end;

	map_scratch(2 * PAGE_SIZE);
	start = rdtsc();
	__asm__ volatile("rep stosq" : "+c"(n), "+D"(target) : "a"(0UL) : "memory");
	end = rdtsc();
	report_part("floor_clear", start, end, 1);
	n = PAGE_SIZE / 8;
	target = UNMAPPED + PAGE_SIZE;
	start = rdtsc();
	__asm__ volatile("rep movsq" : "+c"(n), "+S"(source), "+D"(target) : : "memory");
	end = rdtsc();
	report_part("floor_copy", start, end, 1);
	CHECK(munmap(UNMAPPED, 2 * PAGE_SIZE) == 0);
}

/* What stands for a page table, and for what a kernel knows of each frame. */
struct frame {
	struct frame *next;
	uint64_t users;
};
struct entries {
	uint64_t table[TABLE_PAGES];
	struct frame frames[TABLE_PAGES];
};

static void fill_table(struct entries *e)
{
	for (unsigned long i = 0; i < TABLE_PAGES; i++) {
		e->table[i] = i << 12 | 3;
		e->frames[i].users = 1;
	}
}

static void change_entries(uint64_t *table)
{
	for (unsigned i = 0; i < TABLE_PAGES; i++)
		if (table[i] & 1)
			table[i] &= ~2UL;
}

static struct frame *free_entries(struct entries *e)
{
	struct frame *list = NULL;

	for (unsigned i = 0; i < TABLE_PAGES; i++) {
		struct frame *f = &e->frames[e->table[i] >> 12];

		if (!(e->table[i] & 1))
			continue;
		e->table[i] = 0;
		if (--f->users == 0) {
			f->next = list;
			list = f;
		}
	}
	return list;
}

static void measure_entries(void)
{
	struct entries *e = map_scratch(sizeof(*e));
	uint64_t start, end;

	fill_table(e);
	start = rdtsc();
	change_entries(e->table);
	end = rdtsc();
	report_part("floor_change", start, end, TABLE_PAGES);
	start = rdtsc();
	CHECK(free_entries(e) != NULL);
	end = rdtsc();
	report_part("floor_free", start, end, TABLE_PAGES);
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
