/*
 * Group `workloads`: what fork saves may come back with the writes after it, so each figure is of
 * both: `ticks` has the sum of all forks, writes and lives of children, `worst` the dearest single
 * write of the parent; of the repetitions the median, for now and then the child's time begins in a
 * write. The same memory is forked again and again, as such programs do, so that a
 * kernel can learn from what happened before.
 */
#include "tests/user/bench/bench.h"

#include <sys/mman.h>

#define REPEATS 5
#define ORDER 167 /* pages are written in an order that no kernel guesses */
#define PROGRAM_PAGES TABLE_PAGES
#define SNAPSHOT_PAGES (8 * TABLE_PAGES)
#define EXEC_PAGES 64
#define EXEC_PLACE ((char *)(76UL << 30))
#define REQUESTS 8

static const struct layout aligned = {.name = "aligned", .stride = 1};
static struct range memory = {.layout = &aligned, .start = (char *)(64UL << 30)};
static uint64_t sum, worst;

/* Pages [first, first + n) of the order. */
static void write_some(unsigned first, unsigned n)
{
	for (unsigned i = first; i < first + n; i++) {
		volatile char *page = memory.start + i * ORDER % memory.pages * PAGE_SIZE;
		uint64_t start = rdtsc(), ticks;

		*page = 1;
		ticks = rdtsc() - start - overhead;
		sum += ticks;
		worst = ticks > worst ? ticks : worst;
	}
}

static void timed(void (*fn)(void))
{
	uint64_t start = rdtsc();

	fn();
	sum += rdtsc() - start - overhead;
}

/* The child ends at once; the parent goes on with all that it has. */
static void fork_and_write(void)
{
	timed(fork_and_wait);
	write_some(0, memory.pages);
}

/* Drops all that it has for a program of its own, as far as that is memory management. */
static void be_another_program(void)
{
	struct range program = {.pages = EXEC_PAGES,
				.layout = &aligned,
				.start = EXEC_PLACE,
				.len = EXEC_PAGES * PAGE_SIZE};

	unmap_range(&memory);
	map_touched(&program);
}

static void start_program(void)
{
	fork_runner(be_another_program);
}

/* The parent writes to its stack and its tables of jobs as long as the child has not begun. */
static void shell(void)
{
	timed(start_program);
	write_some(0, 8);
	timed(wait_child);
	write_some(8, 8);
}

static void serve(void)
{
	write_some(64, 32);
}

static void start_request(void)
{
	fork_runner(serve);
}

/* The same pages of the parent's again and again, as soon as it has forked. */
static void server(void)
{
	for (unsigned i = 0; i < REQUESTS; i++) {
		timed(start_request);
		write_some(0, 4);
		timed(wait_child);
	}
}

static void snapshot(unsigned percent)
{
	timed(hold_child);
	write_some(0, memory.pages * percent / 100);
	timed(release_child);
}

static void snapshot_1(void)
{
	snapshot(1);
}

static void snapshot_10(void)
{
	snapshot(10);
}

static void snapshot_50(void)
{
	snapshot(50);
}

static const struct workload {
	const char *name;
	unsigned pages;
	void (*run)(void);
} workloads[] = {
	{"fork_and_write", PROGRAM_PAGES, fork_and_write},
	{"shell", PROGRAM_PAGES, shell},
	{"fork_server", PROGRAM_PAGES, server},
	{"snapshot_1", SNAPSHOT_PAGES, snapshot_1},
	{"snapshot_10", SNAPSHOT_PAGES, snapshot_10},
	{"snapshot_50", SNAPSHOT_PAGES, snapshot_50},
};

/* The first time is there to warm things up. */
static void measure_workload(const struct workload *w)
{
	uint64_t sums[REPEATS], dearest[REPEATS];

	memory.pages = w->pages;
	memory.len = w->pages * PAGE_SIZE;
	map_touched(&memory);
	w->run();
	for (unsigned i = 0; i < REPEATS; i++) {
		sum = worst = 0;
		w->run();
		sums[i] = sum;
		dearest[i] = worst;
	}
	unmap_range(&memory);
	report("%s ticks=%lu worst=%lu reps=%d", w->name, median(sums, REPEATS),
	       median(dearest, REPEATS), REPEATS);
}

void bench_workloads(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++)
		measure_workload(&workloads[i]);
}
