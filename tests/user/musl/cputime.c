/*
 * cputime: the clocks, those of CPU time too, and who sleeps on them. Oracle: Linux's answers; and
 * that CPU time grows with work and not with sleep, is that of a thread, of its process or of its
 * children, and goes from a child to its parent when it has been waited for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000LL
#define S (1000 * MS)
#define BAD ((void *)8)
#define NR_ELEMENTS(a) (sizeof(a) / sizeof(*(a)))
/* Linux's include/linux/posix-timers.h: a process or thread, and 0 profile, 1 virtual, 2 all, 3
 * file */
#define CPU_CLOCK(id, what) ((int)(~(unsigned)(id) << 3 | (what)))
#define THREAD 4

static void check(int ok, const char *what)
{
	if (ok)
		return;
	printf("FAIL cputime: %s (errno %d)\n", what, errno);
	exit(1);
}

/* The result or the negative error number: the calls themselves, not what the C library makes of
 * them. */
static long raw(long nr, long a, long b, long c, long d)
{
	long ret = syscall(nr, a, b, c, d);

	return ret < 0 ? -errno : ret;
}

static long long in_ns(struct timespec t)
{
	return t.tv_sec * S + t.tv_nsec;
}

static long long read_clock(int clock)
{
	struct timespec t;

	check(!raw(SYS_clock_gettime, clock, (long)&t, 0, 0), "clock_gettime");
	return in_ns(t);
}

static long long usage(int who)
{
	struct rusage u;

	check(!getrusage(who, &u), "getrusage");
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * S +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

/* Until this thread has run for @ns. */
static void work(long long ns)
{
	long long start = read_clock(CLOCK_THREAD_CPUTIME_ID);

	while (read_clock(CLOCK_THREAD_CPUTIME_ID) - start < ns)
		;
}

/* --- answers --- */

struct row {
	int clock, gettime, sleep; /* errors, as numbers */
	long resolution;	   /* in ns; 0: not compared */
};

static void answers(void)
{
	const struct row rows[] = {
		{CLOCK_REALTIME, 0, 0, 1},
		{CLOCK_MONOTONIC, 0, 0, 1},
		{CLOCK_PROCESS_CPUTIME_ID, 0, 0, 1},
		{CLOCK_THREAD_CPUTIME_ID, 0, EOPNOTSUPP, 1},
		{CLOCK_MONOTONIC_RAW, 0, EOPNOTSUPP, 1},
		{CLOCK_REALTIME_COARSE, 0, EOPNOTSUPP, 0},
		{CLOCK_MONOTONIC_COARSE, 0, EOPNOTSUPP, 0},
		{CLOCK_BOOTTIME, 0, 0, 1},
		{CLOCK_TAI, 0, 0, 1},
		{10, EINVAL, EINVAL, 0},
		{12, EINVAL, EINVAL, 0},
		{16, EINVAL, EINVAL, 0},
		{CPU_CLOCK(0, 2), 0, 0, 1},
		{CPU_CLOCK(getpid(), 2), 0, 0, 1},
		{CPU_CLOCK(getpid(), 1), 0, 0, 0},
		{CPU_CLOCK(0, 2 | THREAD), 0, EINVAL, 1},
		{CPU_CLOCK(getpid(), 2 | THREAD), 0, EINVAL, 1},
		{CPU_CLOCK(99999, 2), EINVAL, EINVAL, 0},
		{CPU_CLOCK(99999, 2 | THREAD), EINVAL, EINVAL, 0},
		{CPU_CLOCK(0, 3), EINVAL, EOPNOTSUPP, 0},
		{CPU_CLOCK(0, 3 | THREAD), EINVAL, EINVAL, 0},
	};

	for (unsigned i = 0; i < NR_ELEMENTS(rows); i++) {
		const struct row *r = &rows[i];
		struct timespec t = {0, 0}, bad = {0, S};
		char what[64];

		snprintf(what, sizeof(what), "clock %d", r->clock);
		check(raw(SYS_clock_gettime, r->clock, (long)&t, 0, 0) == -r->gettime, what);
		check(raw(SYS_clock_gettime, r->clock, (long)BAD, 0, 0) ==
			      -(r->gettime ? r->gettime : EFAULT),
		      what);
		t = (struct timespec){0, 0};
		check(raw(SYS_clock_getres, r->clock, (long)&t, 0, 0) == -r->gettime, what);
		check(!r->resolution || in_ns(t) == r->resolution, what);
		t = (struct timespec){0, 0};
		/* A time that is past: none of them waits for it. */
		check(raw(SYS_clock_nanosleep, r->clock, TIMER_ABSTIME, (long)&t, 0) == -r->sleep,
		      what);
		if (r->sleep && r->sleep != EOPNOTSUPP)
			continue; /* which of two errors comes first is not told */
		check(raw(SYS_clock_nanosleep, r->clock, 0, (long)&bad, 0) ==
			      -(r->sleep ? r->sleep : EINVAL),
		      what);
		check(raw(SYS_clock_nanosleep, r->clock, 0, (long)BAD, 0) ==
			      -(r->sleep ? r->sleep : EFAULT),
		      what);
	}
	check(raw(SYS_getrusage, 2, 0, 0, 0) == -EINVAL, "getrusage(2)");
	check(raw(SYS_getrusage, RUSAGE_THREAD, (long)BAD, 0, 0) == -EFAULT, "getrusage(bad)");
}

static void time_of_day(void)
{
	struct timeval tv;
	struct timezone zone = {5, 5};
	time_t first = read_clock(CLOCK_REALTIME) / S, stored = 0, told;
	clock_t ticks = raw(SYS_times, 0, 0, 0, 0);

	told = raw(SYS_time, (long)&stored, 0, 0, 0);
	check(!raw(SYS_gettimeofday, (long)&tv, (long)&zone, 0, 0), "gettimeofday");
	check(told == stored && told >= first && tv.tv_sec >= told, "time(2) and gettimeofday(2)");
	check(tv.tv_usec >= 0 && tv.tv_usec < 1000000, "microseconds");
	check(read_clock(CLOCK_REALTIME) / S >= tv.tv_sec, "time does not go back");
	check(raw(SYS_time, 0, 0, 0, 0) >= told, "time(NULL)");
	check(!raw(SYS_gettimeofday, 0, 0, 0, 0), "gettimeofday(NULL, NULL)");
	check(raw(SYS_time, (long)BAD, 0, 0, 0) == -EFAULT, "time(bad)");
	check(raw(SYS_gettimeofday, (long)BAD, 0, 0, 0) == -EFAULT, "gettimeofday(bad)");
	check(raw(SYS_gettimeofday, 0, (long)BAD, 0, 0) == -EFAULT, "gettimeofday(NULL, bad)");
	check(raw(SYS_times, (long)BAD, 0, 0, 0) == -EFAULT, "times(bad)");
	usleep(30000);
	check(raw(SYS_times, 0, 0, 0, 0) - ticks >= 2, "times(2) counts hundredths of seconds");
}

/* --- work and sleep --- */

/*
 * A busy host makes both times as long as it likes, but not CPU time longer than the other. NTP may
 * slow the clock down by 500 ppm (adjtimex(2)); CPU time it does not.
 */
static int fits_into(long long cpu_time, long long wall)
{
	return cpu_time <= wall + wall / 1000;
}

static void own_time(void)
{
	long long wall = read_clock(CLOCK_MONOTONIC),
		  process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	long long said = usage(RUSAGE_SELF);
	struct tms t;

	work(30 * MS);
	process = read_clock(CLOCK_PROCESS_CPUTIME_ID) - process;
	check(process >= 30 * MS, "work takes CPU time of the process");
	check(fits_into(process, read_clock(CLOCK_MONOTONIC) - wall), "and no more than there is");
	check(usage(RUSAGE_SELF) - said >= 29 * MS, "getrusage tells it");
	check(usage(RUSAGE_THREAD) >= 29 * MS, "that of the thread, too");
	check(times(&t) != (clock_t)-1 && t.tms_utime + t.tms_stime >= 2, "and times");
}

static void sleep_takes_none(void)
{
	struct timespec nap = {0, 100 * MS};
	long long wall = read_clock(CLOCK_MONOTONIC);
	long long process = read_clock(CLOCK_PROCESS_CPUTIME_ID);

	check(!nanosleep(&nap, NULL), "nanosleep");
	process = read_clock(CLOCK_PROCESS_CPUTIME_ID) - process;
	wall = read_clock(CLOCK_MONOTONIC) - wall;
	check(fits_into(process, wall - nap.tv_nsec), "sleep takes no CPU time");
}

/* --- threads --- */

static atomic_int stop, begun;
static clockid_t workers_clock;

static void *worker(void *arg)
{
	long long at_start = read_clock(CLOCK_THREAD_CPUTIME_ID);

	(void)arg;
	check(at_start < read_clock(CLOCK_PROCESS_CPUTIME_ID), "a thread's time begins with it");
	check(!pthread_getcpuclockid(pthread_self(), &workers_clock), "pthread_getcpuclockid");
	begun = 1;
	while (!stop)
		work(MS);
	return NULL;
}

static void other_thread(void)
{
	struct timespec target = {0, 20 * MS};
	long long process, others;
	pthread_t thread;

	check(!pthread_create(&thread, NULL, worker, NULL), "pthread_create");
	while (!begun)
		usleep(1000);
	process = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	others = read_clock(workers_clock);
	check(!raw(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, (long)&target, 0),
	      "a sleep by CPU time");
	check(read_clock(CLOCK_PROCESS_CPUTIME_ID) - process >= 20 * MS, "ends when that is over");
	check(!raw(SYS_clock_nanosleep, workers_clock, 0, (long)&target, 0),
	      "a sleep by a thread's time");
	check(read_clock(workers_clock) - others >= 20 * MS, "ends when that is over, too");
	stop = 1;
	check(!pthread_join(thread, NULL), "pthread_join");
	check(read_clock(CLOCK_PROCESS_CPUTIME_ID) - process >= 40 * MS,
	      "its time stays with the process");
}

/* --- children --- */

static void children(void)
{
	long long before = usage(RUSAGE_CHILDREN);
	struct rusage u;
	struct tms t;
	int status;
	long long wall = read_clock(CLOCK_MONOTONIC), own;
	pid_t pid = fork();

	if (!pid) {
		own = read_clock(CLOCK_PROCESS_CPUTIME_ID);
		check(fits_into(own, read_clock(CLOCK_MONOTONIC) - wall), "a child begins anew");
		check(!usage(RUSAGE_CHILDREN), "and has no children");
		work(40 * MS);
		_exit(0);
	}
	check(usage(RUSAGE_CHILDREN) == before, "who has not been waited for does not count");
	check(wait4(pid, &status, 0, &u) == pid && !status, "wait4");
	check((u.ru_utime.tv_sec + u.ru_stime.tv_sec) * S +
			      (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL >=
		      39 * MS,
	      "wait4 tells the child's time");
	check(usage(RUSAGE_CHILDREN) - before >= 39 * MS, "which then is the parent's children's");
	check(times(&t) != (clock_t)-1 && t.tms_cutime + t.tms_cstime >= 3, "and times");
}

int main(void)
{
	answers();
	time_of_day();
	own_time();
	sleep_takes_none();
	other_thread();
	children();
	puts("cputime: passed");
	return 0;
}
