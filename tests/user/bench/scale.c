/*
 * Group `scale`: what several threads of one address space do at once, as a rate.
 *
 * In `faults_disjoint` each thread faults in and drops a page table's worth of pages of its own; in
 * `fills` it only writes to them, so that is what the host gives to several threads. In `race` the
 * first thread takes and gives rights of one range while all others drop and read-fault parts of
 * it. A rate is operations in 1e9 ticks: where the counter is a clock, only ratios of rates mean
 * anything. The speed-up is such a ratio, in percent.
 */
#include "tests/user/bench/bench.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_THREADS 32
#define REGIONS (96UL << 30)
#define LEN (TABLE_PAGES * PAGE_SIZE)
#define SLICE 64 /* pages that a racing thread drops at once */
#define DURATION 300000000UL
#define GIGA 1000000000UL
#define REPEATS 9

struct worker {
	pthread_t thread;
	uint64_t (*step)(struct worker *w); /* operations done */
	char *region;
	unsigned at;
	uint64_t rate;
};

static struct worker workers[MAX_THREADS];
static unsigned nr_waiting;

static uint64_t fault_and_drop(struct worker *w)
{
	for (size_t at = 0; at < LEN; at += PAGE_SIZE)
		*(volatile char *)(w->region + at) = 1;
	CHECK(madvise(w->region, LEN, MADV_DONTNEED) == 0);
	return TABLE_PAGES;
}

/* Shares nothing with anybody: what the host itself gives to a second thread. */
static uint64_t fill_own(struct worker *w)
{
	memset(w->region, w->at++, LEN);
	return TABLE_PAGES;
}

static uint64_t protect_and_back(struct worker *w)
{
	CHECK(mprotect(w->region, LEN, PROT_READ) == 0);
	CHECK(mprotect(w->region, LEN, PROT_READ | PROT_WRITE) == 0);
	return 2;
}

static uint64_t drop_and_read(struct worker *w)
{
	char *slice = w->region + w->at * PAGE_SIZE;

	w->at = (w->at + SLICE) % TABLE_PAGES;
	CHECK(madvise(slice, SLICE * PAGE_SIZE, MADV_DONTNEED) == 0);
	for (unsigned i = 0; i < SLICE; i++)
		(void)*(volatile char *)(slice + i * PAGE_SIZE);
	return SLICE;
}

/* All start together. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t start, ops = 0, ticks;

	__atomic_sub_fetch(&nr_waiting, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&nr_waiting, __ATOMIC_ACQUIRE))
		sched_yield();
	start = rdtsc();
	do {
		ops += w->step(w);
		ticks = rdtsc() - start;
	} while (ticks < DURATION);
	w->rate = ops * GIGA / ticks;
	return NULL;
}

static void run_workers(unsigned n)
{
	nr_waiting = n;
	for (unsigned i = 1; i < n; i++)
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
	work(&workers[0]);
	for (unsigned i = 1; i < n; i++)
		CHECK(pthread_join(workers[i].thread, NULL) == 0);
}

static uint64_t sum_of_rates(unsigned from, unsigned to)
{
	uint64_t sum = 0;

	for (unsigned i = from; i < to; i++)
		sum += workers[i].rate;
	return sum;
}

static void report_rates(const char *name, unsigned threads, const char *unit, uint64_t *rates)
{
	uint64_t middle = median(rates, REPEATS);

	report("%s threads=%u %s=%lu low=%lu high=%lu reps=%d", name, threads, unit, middle,
	       rates[0], rates[REPEATS - 1], REPEATS);
}

static void map_regions(unsigned n)
{
	CHECK(mmap((char *)REGIONS, n * LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (char *)REGIONS);
}

static uint64_t rate_of(unsigned threads)
{
	run_workers(threads);
	return sum_of_rates(0, threads);
}

/* Each time beside one thread alone: a host that is busy for a while slows both. */
static void disjoint(unsigned threads, const char *name, const char *speedup,
		     uint64_t (*step)(struct worker *w))
{
	uint64_t rates[REPEATS], percents[REPEATS];

	map_regions(threads);
	for (unsigned i = 0; i < threads; i++)
		workers[i] = (struct worker){.step = step, .region = (char *)REGIONS + i * LEN};
	for (unsigned i = 0; i < REPEATS; i++) {
		uint64_t alone = rate_of(1);

		rates[i] = threads > 1 ? rate_of(threads) : alone;
		percents[i] = rates[i] * 100 / alone;
	}
	report_rates(name, threads, "rate", rates);
	if (threads > 1)
		report_rates(speedup, threads, "percent", percents);
}

static void race(unsigned threads)
{
	uint64_t protects[REPEATS], faults[REPEATS];

	map_regions(1);
	for (size_t at = 0; at < LEN; at += PAGE_SIZE)
		((volatile char *)REGIONS)[at] = 1;
	for (unsigned i = 0; i < threads; i++)
		workers[i] = (struct worker){.step = i ? drop_and_read : protect_and_back,
					     .region = (char *)REGIONS,
					     .at = i * SLICE % TABLE_PAGES};
	for (unsigned i = 0; i < REPEATS; i++) {
		run_workers(threads);
		protects[i] = workers[0].rate;
		faults[i] = sum_of_rates(1, threads);
	}
	report_rates("race_mprotect", threads, "rate", protects);
	if (threads > 1)
		report_rates("race_faults", threads, "rate", faults);
}

/* With 1, 2, 4, ... threads, up to the number of CPUs; two race on one CPU as well. */
void bench_scale(unsigned cpus)
{
	CHECK(cpus <= MAX_THREADS);
	for (unsigned n = 1; n <= cpus || n <= 2; n *= 2) {
		disjoint(n, "fills", "fills_speedup", fill_own);
		disjoint(n, "faults_disjoint", "faults_disjoint_speedup", fault_and_drop);
		race(n);
	}
}
