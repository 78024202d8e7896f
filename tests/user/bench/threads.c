/*
 * Group `threads`: a thread's life; its end among many, where a kernel may also give back what it has
 * kept of those that have ended before; and the switch between two processes and two threads that share
 * one CPU. A switch by futex is a wake and a sleep; one by sched_yield counts only where the other
 * one really ran.
 */
#include "tests/user/bench/bench.h"

#include <pthread.h>
#include <sched.h>

#define SWITCHES 200 /* of each side */
#define REPEATS 5
#define MANY 128 /* more than a kernel keeps stacks of */

static pthread_t many[MANY];
static uint32_t may_end[MANY];

static void *end_when_told(void *word)
{
	while (!__atomic_load_n((uint32_t *)word, __ATOMIC_ACQUIRE))
		futex_wait(word, 0);
	return word;
}

static uint64_t end_one(unsigned i)
{
	uint64_t start = rdtsc();

	__atomic_store_n(&may_end[i], 1, __ATOMIC_RELEASE);
	futex_wake(&may_end[i]);
	CHECK(pthread_join(many[i], NULL) == 0);
	return rdtsc() - start - overhead;
}

static void measure_ends(void)
{
	uint64_t ticks[MANY], worst;

	for (unsigned i = 0; i < MANY; i++)
		CHECK(pthread_create(&many[i], NULL, end_when_told, &may_end[i]) == 0);
	for (unsigned i = 0; i < MANY; i++)
		ticks[i] = end_one(i);
	worst = most(ticks, MANY);
	report("thread_end_of_many ticks=%lu worst=%lu reps=%d", median(ticks, MANY), worst, MANY);
}

static void *no_work(void *unused)
{
	return unused;
}

static void create_and_join(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, no_work, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

/* Side @me of two that take turns. */
static void take_turns(uint32_t me)
{
	for (unsigned i = 0; i < SWITCHES; i++) {
		while (__atomic_load_n(&shared->turn, __ATOMIC_ACQUIRE) != me)
			futex_wait(&shared->turn, !me);
		__atomic_store_n(&shared->turn, !me, __ATOMIC_RELEASE);
		futex_wake(&shared->turn);
	}
}

static void second_side(void)
{
	take_turns(1);
}

static void *second_thread(void *unused)
{
	second_side();
	return unused;
}

static uint64_t turns_of_processes(void)
{
	uint64_t start;

	fork_runner(second_side);
	start = rdtsc();
	take_turns(0);
	start = rdtsc() - start;
	wait_child();
	return start / (2 * SWITCHES);
}

static uint64_t turns_of_threads(void)
{
	pthread_t thread;
	uint64_t start;

	CHECK(pthread_create(&thread, NULL, second_thread, NULL) == 0);
	start = rdtsc();
	take_turns(0);
	start = rdtsc() - start;
	CHECK(pthread_join(thread, NULL) == 0);
	return start / (2 * SWITCHES);
}

static void yield_until_stopped(void)
{
	while (!__atomic_load_n(&shared->stop, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&shared->last, 1, __ATOMIC_RELEASE);
		sched_yield();
	}
}

/* Every time that the other one ran since the last look is two switches. */
static uint64_t yields_of_processes(void)
{
	unsigned switches = 0;
	uint64_t start;

	shared->stop = shared->last = 0;
	fork_runner(yield_until_stopped);
	start = rdtsc();
	while (switches < 2 * SWITCHES) {
		sched_yield();
		if (__atomic_exchange_n(&shared->last, 0, __ATOMIC_ACQ_REL))
			switches += 2;
	}
	start = rdtsc() - start;
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
	wait_child();
	return start / switches;
}

static void measure_switch(const char *name, uint64_t (*fn)(void))
{
	uint64_t ticks[REPEATS + 1];

	for (unsigned i = 0; i <= REPEATS; i++)
		ticks[i] = fn();
	report("%s ticks=%lu reps=%d", name, median(ticks + 1, REPEATS), REPEATS);
}

void bench_threads(void)
{
	cpu_set_t one, all;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	CPU_ZERO(&one);
	for (unsigned i = 0; !CPU_COUNT(&one); i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
	measure_call("thread_create_join", create_and_join, NULL);
	measure_ends();
	measure_switch("switch_futex_processes", turns_of_processes);
	measure_switch("switch_futex_threads", turns_of_threads);
	measure_switch("switch_yield_processes", yields_of_processes);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}
