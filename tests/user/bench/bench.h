/*
 * bench: what memory management costs, measured with the time-stamp counter from user mode.
 *
 * One static program, built with musl, that runs unmodified on Linux and on Pteron; it may be the
 * init of either. Under -icount the counter counts instructions, the kernel's and the hypervisor's
 * included. Every figure is one line, `bench NAME key=value ...`, and `bench done` ends them. In it
 * `ticks` is the median of the repetitions, and `worst` the dearest single call of all of them, the
 * first included: of what makes many faults the dearest fault, found in repetitions of their own,
 * so that to read the counter at each one is in no median. A call may have a timer's tick in it, as
 * anybody's may: then that is its cost.
 * tests/harness/against.py starts it and reads the lines.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE_SIZE 4096UL
#define TABLE_PAGES 512UL /* that one page table maps: 2 MiB */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* --- measure.c --- */

static inline uint64_t rdtsc(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* "bench FAIL ..." and the end of the program. */
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail("%s:%d: %s", __FILE__, __LINE__, #cond);                              \
	} while (0)
/* End the program; as init the machine with it. */
void leave(int status) __attribute__((noreturn));

/* What reading the counter costs, found by the first call of calibrate(). */
extern uint64_t overhead;
void calibrate(void);
/* Sorts. */
uint64_t median(uint64_t *values, unsigned n);
uint64_t most(const uint64_t *values, unsigned n);
/*
 * As init, sleep until a kernel that has just booted has ended what it does beside its first
 * program: else that has the CPU for some of what is measured.
 */
void settle(void);

/* Figures are kept until their group has ended: the console's interrupts are nobody's cost. */
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void print_reports(void);

/* --- meter.c: the floor, on a kernel that has a meter --- */

#define METER_TEXT_SIZE 64
extern bool meter_on; /* --meter: else nothing of this does anything */
/* Around what is measured. */
void meter_start(void);
void meter_stop(void);
/* What was between the last two, or nothing: faults, calls, copies, and the hypervisor's ticks. */
const char *meter_text(void);
void measure_floor(void);

/* --- region.c: pages to work on --- */

struct layout {
	const char *name;
	unsigned offset; /* pages from the start of a page table to the first */
	unsigned stride; /* every how many pages one is touched */
	unsigned target; /* where mremap moves it: pages from the start of a page table */
	bool permuted;	 /* touched in an order that no kernel guesses */
};
enum {
	ALIGNED = 1 << 0,
	UNALIGNED = 1 << 1,
	ODD = 1 << 2,
	SPARSE2 = 1 << 3,
	SPARSE8 = 1 << 4,
	PERMUTED = 1 << 5,
	DENSITIES = ALIGNED | UNALIGNED | SPARSE2 | SPARSE8,
};

struct range {
	unsigned pages; /* touched */
	const struct layout *layout;
	char *start, *target;
	size_t len;
};

extern unsigned pages_max; /* no operation is measured with more touched pages */
/* Tables above the page tables of all ranges exist from here on. */
void region_init(void);
void map_range(const struct range *r);
void map_populated(const struct range *r);
/* Map and write. */
void map_touched(const struct range *r);
void unmap_range(const struct range *r);
/* Make it read-only. */
void take_right(const struct range *r);
void write_pages(const struct range *r);
void read_pages(const struct range *r);
void write_one_page(const struct range *r);

/* Each preparation finds the range unmapped; after the measured function all of it is unmapped. */
struct operation {
	const char *name;
	unsigned layouts;
	void (*prepare)(const struct range *r), (*measured)(const struct range *r);
	void (*finish)(const struct range *r); /* may be NULL */
	bool forks;			       /* measured until parent or child is back */
};
/* Each operation, in all its layouts, for 1, 16, 512 and 4096 touched pages. */
void measure_operations(const struct operation *ops, unsigned n);
/* The same of one operation, with @pages touched at the start of a mapping of @mapped pages. */
void measure_mapped(const struct operation *op, unsigned pages, unsigned mapped);
/* Unmap a GiB of which each page is touched; once, as it takes long and nothing is like it. */
void measure_gib(void);
/* The median of some repetitions of what has no pages, and the most of them. */
void measure_call(const char *name, void (*fn)(void), void (*finish)(void));
/* The same of a fork, whichever of the two runs first. */
void measure_fork(const char *name, void (*finish)(void));

/* --- child.c: other processes --- */

struct shared {
	uint32_t ready, go; /* of the child that is held */
	uint32_t turn;	    /* whose turn it is, of two */
	uint32_t last;	    /* who ran last */
	uint32_t stop;
	uint64_t forked; /* when the last child was in user mode first */
};
extern struct shared *shared; /* by all children */

void child_init(void);
void futex_wait(uint32_t *word, uint32_t expected);
void futex_wake(uint32_t *word);
/* A child that exits at once. */
void fork_child(void);
/*
 * When a fork, which began and ended at these times for the parent, was over for either of the two.
 */
uint64_t fork_end(uint64_t start, uint64_t end);
void wait_child(void);
void fork_and_wait(void);
/* A child that sleeps until it is released, having touched nothing of the range. */
void hold_child(void);
void release_child(void);
/* A child that runs @fn and exits; wait_child() waits for it. */
void fork_runner(void (*fn)(void));

/* --- the groups --- */

void bench_calls(void);
void bench_faults(void);
void bench_ranges(void);
void bench_forks(void);
void bench_workloads(void);
void bench_sweep(void);
void bench_threads(void);
void bench_scale(unsigned cpus);
