/*
 * Ranges of pages in five layouts, and the loop that measures an operation on them.
 *
 * They lie at fixed addresses, the same on every kernel, each in a GiB of its own in which one
 * other page stays mapped: so the tables above the page tables are there before anything is
 * measured, and stay. Page tables come and go with what the operation does to them.
 */
#include "tests/user/bench/bench.h"

#include <stdio.h>
#include <sys/mman.h>

#define GIB (1UL << 30)
#define SOURCE (64 * GIB)
#define TARGET (68 * GIB)
#define MAPPED (72 * GIB + 2 * TABLE_PAGES * PAGE_SIZE) /* of the sweep: up to a GiB */
#define ANCHOR (GIB / 2)
#define PERMUTATION 167 /* odd, so that it visits each of 2^n pages; far from its neighbours */
#define REPEATS 5
#define WHERE_SIZE 32
#define REPEATS_LARGE 3
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE)

unsigned pages_max = 4096;
static const unsigned sizes[] = {1, 16, 512, 4096};
static const struct layout layouts[] = {
	{"aligned", 0, 1, 0, false},   {"unaligned", 257, 1, 257, false},
	{"odd", 0, 1, 257, false},     {"sparse2", 0, 2, 257, false},
	{"sparse8", 0, 8, 257, false}, {"permuted", 0, 1, 0, true},
};

static void map(char *start, size_t len, int flags)
{
	CHECK(mmap(start, len, PROT_READ | PROT_WRITE, ANONYMOUS | flags, -1, 0) == start);
}

static void put_anchor(unsigned long address)
{
	map((char *)address, PAGE_SIZE, 0);
	*(volatile char *)address = 1;
}

void region_init(void)
{
	put_anchor(SOURCE + ANCHOR);
	put_anchor(TARGET + ANCHOR);
	put_anchor(MAPPED - TABLE_PAGES * PAGE_SIZE);
	put_anchor(MAPPED + GIB + TABLE_PAGES * PAGE_SIZE);
}

void map_range(const struct range *r)
{
	map(r->start, r->len, 0);
}

void map_populated(const struct range *r)
{
	map(r->start, r->len, MAP_POPULATE);
}

void unmap_range(const struct range *r)
{
	CHECK(munmap(r->start, r->len) == 0);
}

void take_right(const struct range *r)
{
	CHECK(mprotect(r->start, r->len, PROT_READ) == 0);
}

static void write_page(char *page)
{
	*(volatile char *)page = 1;
}

static void read_page(char *page)
{
	(void)*(volatile char *)page;
}

/* The step in bytes, and what keeps a sum of steps inside of the range. */
static void touch_order(const struct range *r, size_t *step, size_t *mask)
{
	size_t stride = r->layout->stride * PAGE_SIZE;

	*step = r->layout->permuted ? PERMUTATION * stride : stride;
	*mask = r->pages * stride - 1;
}

void write_pages(const struct range *r)
{
	size_t step, mask, at = 0;

	touch_order(r, &step, &mask);
	for (unsigned i = 0; i < r->pages; i++, at = (at + step) & mask)
		write_page(r->start + at);
}

void read_pages(const struct range *r)
{
	size_t step, mask, at = 0;

	touch_order(r, &step, &mask);
	for (unsigned i = 0; i < r->pages; i++, at = (at + step) & mask)
		read_page(r->start + at);
}

void write_one_page(const struct range *r)
{
	write_page(r->start);
}

void map_touched(const struct range *r)
{
	map_range(r);
	write_pages(r);
}

static void clean_up(const struct operation *op, const struct range *r)
{
	if (op->finish)
		op->finish(r);
	CHECK(munmap(r->start, r->len) == 0 && munmap(r->target, r->len) == 0);
}

static uint64_t measure_once(const struct operation *op, const struct range *r)
{
	uint64_t start, end;

	op->prepare(r);
	meter_start();
	start = rdtsc();
	op->measured(r);
	end = rdtsc();
	meter_stop();
	if (op->forks)
		end = fork_end(start, end);
	clean_up(op, r);
	return end - start - overhead;
}

/* The dearest of the accesses that @op makes, each timed on its own. */
static uint64_t dearest_access(const struct operation *op, const struct range *r)
{
	void (*access)(char *page) = op->measured == read_pages ? read_page : write_page;
	uint64_t worst = 0;
	size_t step, mask, at = 0;

	touch_order(r, &step, &mask);
	op->prepare(r);
	for (unsigned i = 0; i < r->pages; i++, at = (at + step) & mask) {
		uint64_t start = rdtsc(), end;

		access(r->start + at);
		end = rdtsc();
		if (end - start - overhead > worst)
			worst = end - start - overhead;
	}
	clean_up(op, r);
	return worst;
}

/* Of more pages than a table has it would take long, and say nothing new. */
static bool has_dearest_access(const struct operation *op, const struct range *r)
{
	return (op->measured == write_pages || op->measured == read_pages) &&
	       r->pages <= TABLE_PAGES && !meter_on;
}

/* @ticks: of all repetitions, and of the one before them. Where each of them makes many faults, the
 * dearest of as many repetitions of its own. */
static uint64_t dearest(const struct operation *op, const struct range *r, const uint64_t *ticks,
			unsigned n)
{
	uint64_t worst[REPEATS + 1];

	if (!has_dearest_access(op, r))
		return most(ticks, n);
	for (unsigned i = 0; i < n; i++)
		worst[i] = dearest_access(op, r);
	return most(worst, n);
}

/* @where: the layout, as the report names it. */
static void measure_range(const struct operation *op, const struct range *r, const char *where)
{
	unsigned reps = r->pages > TABLE_PAGES ? REPEATS_LARGE : REPEATS;
	uint64_t ticks[REPEATS + 1], tenths, worst;

	for (unsigned i = 0; i <= reps; i++) /* the first is there to warm things up */
		ticks[i] = measure_once(op, r);
	worst = dearest(op, r, ticks, reps + 1);
	tenths = median(ticks + 1, reps) * 10 / r->pages;
	report("%s pages=%u %s ticks=%lu per_page=%lu.%lu worst=%lu reps=%u%s", op->name, r->pages,
	       where, ticks[1 + reps / 2], tenths / 10, tenths % 10, worst, reps, meter_text());
}

static void measure_layout(const struct operation *op, const struct layout *layout)
{
	char where[WHERE_SIZE];

	for (unsigned i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= pages_max; i++) {
		struct range r = {
			.pages = sizes[i],
			.layout = layout,
			.start = (char *)SOURCE + layout->offset * PAGE_SIZE,
			.target = (char *)TARGET + layout->target * PAGE_SIZE,
			.len = sizes[i] * layout->stride * PAGE_SIZE,
		};

		snprintf(where, sizeof(where), "layout=%s", layout->name);
		measure_range(op, &r, where);
	}
}

void measure_operations(const struct operation *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		for (unsigned k = 0; k < ARRAY_SIZE(layouts); k++)
			if (ops[i].layouts & 1U << k)
				measure_layout(&ops[i], &layouts[k]);
}

void measure_mapped(const struct operation *op, unsigned pages, unsigned mapped)
{
	struct range r = {
		.pages = pages,
		.layout = &layouts[0],
		.start = (char *)MAPPED,
		.target = (char *)TARGET,
		.len = mapped * PAGE_SIZE,
	};
	char where[WHERE_SIZE];

	snprintf(where, sizeof(where), "mapped=%u", mapped);
	measure_range(op, &r, where);
}

void measure_gib(void)
{
	struct range r = {
		.pages = GIB / PAGE_SIZE,
		.layout = &layouts[0],
		.start = (char *)MAPPED,
		.len = GIB,
	};
	uint64_t start, ticks;

	map_touched(&r);
	meter_start();
	start = rdtsc();
	unmap_range(&r);
	ticks = rdtsc() - start - overhead;
	meter_stop();
	report("munmap_touched_gib ticks=%lu worst=%lu reps=1%s", ticks, ticks, meter_text());
}
