/*
 * threads: pthreads. THREADS threads add to a sum under a mutex, hand turns around by condition
 * variables, meet at a barrier in each round, and wait with a time-out. Oracle: the sum and the
 * number of turns, which one thread alone would get; a wait that is over too early.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS 6
#define ROUNDS 40
#define STEPS 200
#define TIMEOUT_NS 30000000L

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static uint64_t sum;  /* mutex */
static unsigned turn; /* mutex: counts up; thread turn % THREADS is next */
static _Thread_local unsigned self;

static void fail(const char *what)
{
	printf("FAIL threads: %s\n", what);
	exit(1);
}

static uint64_t value(unsigned thread, unsigned round, unsigned step)
{
	return (thread + 1) * 1000003ULL ^ (round * STEPS + step) * 0x9e3779b97f4a7c15ULL;
}

static void add_up(unsigned round)
{
	for (unsigned i = 0; i < STEPS; i++) {
		pthread_mutex_lock(&mutex);
		sum += value(self, round, i);
		pthread_mutex_unlock(&mutex);
		if (i % 16 == self)
			sched_yield();
	}
}

static void take_turn(void)
{
	pthread_mutex_lock(&mutex);
	while (turn % THREADS != self)
		pthread_cond_wait(&turn_changed, &mutex);
	turn++;
	pthread_cond_broadcast(&turn_changed);
	pthread_mutex_unlock(&mutex);
}

static void *worker(void *number)
{
	self = (uintptr_t)number;
	for (unsigned round = 0; round < ROUNDS; round++) {
		add_up(round);
		take_turn();
		if (round % 8 == 0)
			usleep(self * 150);
		pthread_barrier_wait(&barrier);
		if (turn != (round + 1) * THREADS)
			fail("a turn is missing behind the barrier");
		pthread_barrier_wait(&barrier);
	}
	return (void *)(uintptr_t)(self * 7 + 1);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* A wait for what never comes, and a sleep: neither may be over too early. */
static void wait_in_vain(void)
{
	uint64_t until = now_ns(CLOCK_REALTIME) + TIMEOUT_NS, before;
	struct timespec ts = {until / 1000000000, until % 1000000000};
	int err = 0;

	pthread_mutex_lock(&mutex);
	while (!err)
		err = pthread_cond_timedwait(&never, &mutex, &ts);
	pthread_mutex_unlock(&mutex);
	if (err != ETIMEDOUT || now_ns(CLOCK_REALTIME) < until)
		fail("pthread_cond_timedwait");
	before = now_ns(CLOCK_MONOTONIC);
	usleep(TIMEOUT_NS / 1000);
	if (now_ns(CLOCK_MONOTONIC) - before < TIMEOUT_NS)
		fail("usleep");
}

static void run_workers(void)
{
	pthread_t threads[THREADS];
	void *result;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, worker, (void *)i))
			fail("pthread_create");
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_join(threads[i], &result) || result != (void *)(i * 7 + 1))
			fail("pthread_join");
}

static void *nothing(void *unused)
{
	return unused;
}

/* Nobody joins these: each unmaps its own stack. */
static void run_detached(void)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	for (unsigned i = 0; i < 50; i++)
		if (pthread_create(&t, &attr, nothing, NULL))
			fail("pthread_create, detached");
}

int main(void)
{
	uint64_t want = 0;

	run_detached();
	run_workers();
	for (unsigned t = 0; t < THREADS; t++)
		for (unsigned r = 0; r < ROUNDS; r++)
			for (unsigned i = 0; i < STEPS; i++)
				want += value(t, r, i);
	if (sum != want || turn != THREADS * ROUNDS)
		fail("the sum is wrong");
	wait_in_vain();
	printf("threads: sum %016llx, %u turns\n", (unsigned long long)sum, turn);
	return 0;
}
