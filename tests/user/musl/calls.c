/*
 * calls: the system calls of the other programs with arguments of which the answer is known, and
 * what sysconf() says. Oracle: Linux's answers; argv[1] is the number of CPUs that there are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256
#define BAD ((void *)8)
#define WAITERS 4

static void expect(const char *what, long got, long want)
{
	if (got == want)
		return;
	printf("FAIL calls: %s answers %ld (errno %d), not %ld\n", what, got, errno, want);
	exit(1);
}

/* The error, as a positive number, or what was returned, negated. */
#define ERROR(call) ((call) < 0 ? errno : -1)

static void times(void)
{
	struct timespec bad = {0, 1000000000}, negative = {-1, 0}, none = {0, 0}, ts;

	expect("nanosleep(1e9 ns)", ERROR(syscall(SYS_nanosleep, &bad, NULL)), EINVAL);
	expect("nanosleep(-1 s)", ERROR(syscall(SYS_nanosleep, &negative, NULL)), EINVAL);
	expect("nanosleep(bad)", ERROR(syscall(SYS_nanosleep, BAD, NULL)), EFAULT);
	expect("nanosleep(0)", nanosleep(&none, NULL), 0);
	expect("clock_nanosleep in the past",
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &none, NULL), 0);
	expect("clock_nanosleep(77)", clock_nanosleep(77, 0, &none, NULL), EINVAL);
	expect("clock_getres", clock_getres(CLOCK_MONOTONIC, &ts), 0);
	expect("clock_getres, seconds", ts.tv_sec, 0);
	expect("clock_getres(77)", ERROR(clock_getres(77, &ts)), EINVAL);
}

static long mask_call(int how, const void *set, void *old, size_t size)
{
	return syscall(SYS_rt_sigprocmask, how, set, old, size);
}

/* fork() of the library blocks everything meanwhile, and restores the mask itself. */
static void mask_of_child(uint64_t want)
{
	uint64_t mask = 0;
	int status;
	pid_t pid = syscall(SYS_fork);

	if (!pid) {
		mask_call(SIG_BLOCK, NULL, &mask, 8);
		_exit(mask == want);
	}
	waitpid(pid, &status, 0);
	expect("the child's mask is its parent's", WEXITSTATUS(status), 1);
}

static void signals(void)
{
	uint64_t usr1 = 1ULL << (SIGUSR1 - 1), kill = 1ULL << (SIGKILL - 1), all = ~0ULL, old;
	struct sigaction act;

	expect("sigprocmask(99)", ERROR(mask_call(99, &usr1, NULL, 8)), EINVAL);
	expect("sigprocmask of 4 bytes", ERROR(mask_call(SIG_BLOCK, &usr1, NULL, 4)), EINVAL);
	expect("sigprocmask(bad)", ERROR(mask_call(SIG_BLOCK, BAD, NULL, 8)), EFAULT);
	expect("sigprocmask to bad", ERROR(mask_call(SIG_BLOCK, NULL, BAD, 8)), EFAULT);
	expect("sigprocmask(SETMASK)", mask_call(SIG_SETMASK, &usr1, NULL, 8), 0);
	mask_of_child(usr1);
	expect("sigprocmask(BLOCK)", mask_call(SIG_BLOCK, &all, &old, 8), 0);
	expect("what was blocked", old, usr1);
	expect("sigprocmask(UNBLOCK)", mask_call(SIG_UNBLOCK, &all, &old, 8), 0);
	expect("KILL cannot be blocked", (old & kill) != 0, 0);
	expect("what was blocked", old & usr1, usr1);
	expect("what is blocked", mask_call(SIG_BLOCK, NULL, &old, 8), 0);
	expect("nothing is blocked", old, 0);
	expect("sigaction(SIGUSR1)", sigaction(SIGUSR1, NULL, &act), 0);
	expect("the disposition", act.sa_handler == SIG_DFL, 1);
	expect("sigaction(99)", ERROR(syscall(SYS_rt_sigaction, 99, NULL, &act, 8)), EINVAL);
	act.sa_handler = SIG_DFL;
	expect("sigaction(SIGKILL)", ERROR(syscall(SYS_rt_sigaction, SIGKILL, &act, NULL, 8)),
	       EINVAL);
	expect("sigaction(SIGTERM, default)", sigaction(SIGTERM, &act, NULL), 0);
	expect("tkill(self, 0)", syscall(SYS_tkill, gettid(), 0), 0);
	expect("tkill(self, 99)", ERROR(syscall(SYS_tkill, gettid(), 99)), EINVAL);
	expect("tkill(self, SIGCHLD)", syscall(SYS_tkill, gettid(), SIGCHLD), 0);
	expect("tgkill(self, SIGWINCH)", syscall(SYS_tgkill, getpid(), gettid(), SIGWINCH), 0);
}

static _Atomic unsigned *from, *to; /* futexes, both 0 */
static _Atomic unsigned awake;

static long futex(void *addr, int op, long n, const void *more, void *other)
{
	return syscall(SYS_futex, addr, op, n, more, other);
}

static void *wait_on_futex(void *unused)
{
	expect("futex wait", futex(from, FUTEX_WAIT, 0, NULL, NULL), 0);
	atomic_fetch_add(&awake, 1);
	return unused;
}

/* All waiters but one are moved as they come; the last is woken where it waits. */
static void move_waiters(void)
{
	for (long moved = 0; moved < WAITERS - 1; usleep(1000))
		moved += futex(from, FUTEX_REQUEUE, 0, (void *)(WAITERS - 1 - moved), to);
	expect("who was moved sleeps", awake, 0);
	while (!futex(from, FUTEX_REQUEUE, 1, (void *)1, to))
		usleep(1000);
}

static void requeue(void)
{
	pthread_t threads[WAITERS];

	awake = 0;
	for (int i = 0; i < WAITERS; i++)
		pthread_create(&threads[i], NULL, wait_on_futex, NULL);
	move_waiters();
	expect("requeue of nobody", futex(from, FUTEX_REQUEUE, 1, (void *)1, to), 0);
	expect("wake of nobody", futex(from, FUTEX_WAKE, INT_MAX, NULL, NULL), 0);
	expect("requeue onto itself", futex(to, FUTEX_REQUEUE, 1, (void *)100, to), WAITERS - 1);
	expect("wake of all", futex(to, FUTEX_WAKE, INT_MAX, NULL, NULL), WAITERS - 2);
	for (int i = 0; i < WAITERS; i++)
		pthread_join(threads[i], NULL);
	expect("all were woken", awake, WAITERS);
}

/* Waits with an end on one of two clocks: neither may be over too early. */
static void wait_until(clockid_t clock, int flag)
{
	struct timespec end, now;

	clock_gettime(clock, &end);
	end.tv_sec += (end.tv_nsec + 3000000) / 1000000000;
	end.tv_nsec = (end.tv_nsec + 3000000) % 1000000000;
	expect("futex, until a time",
	       ERROR(syscall(SYS_futex, from, FUTEX_WAIT_BITSET | flag, 0, &end, NULL, -1)),
	       ETIMEDOUT);
	clock_gettime(clock, &now);
	expect("it is over too early",
	       now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec),
	       0);
	expect("futex, no bits",
	       ERROR(syscall(SYS_futex, from, FUTEX_WAIT_BITSET | flag, 0, &end, NULL, 0)), EINVAL);
}

static void bad_futexes(void)
{
	struct timespec soon = {0, 2000000}, bad = {0, -1};

	wait_until(CLOCK_MONOTONIC, 0);
	wait_until(CLOCK_REALTIME, FUTEX_CLOCK_REALTIME);
	expect("futex time-out", ERROR(futex(from, FUTEX_WAIT, 0, &soon, NULL)), ETIMEDOUT);
	expect("futex, bad time", ERROR(futex(from, FUTEX_WAIT, 0, &bad, NULL)), EINVAL);
	expect("futex, time at a bad address", ERROR(futex(from, FUTEX_WAIT, 0, BAD, NULL)),
	       EFAULT);
	expect("futex, other value", ERROR(futex(from, FUTEX_WAIT, 1, &soon, NULL)), EAGAIN);
	expect("requeue, unaligned", ERROR(futex(from, FUTEX_REQUEUE, 0, NULL, (char *)to + 1)),
	       EINVAL);
	expect("requeue, negative", ERROR(futex(from, FUTEX_REQUEUE, -1, NULL, to)), EINVAL);
}

static void futexes_at(_Atomic unsigned *a, _Atomic unsigned *b)
{
	from = a;
	to = b;
	bad_futexes();
	requeue();
}

/*
 * Private ones and shared ones. Who waits holds the object that they lie in, which is used after.
 */
static void futexes(void)
{
	static _Atomic unsigned mine[2];
	_Atomic unsigned *shared =
		mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	futexes_at(&mine[0], &mine[1]);
	futexes_at(shared, shared + 1024);
	shared[2048] = 1;
	expect("munmap", munmap((void *)shared, 3 * 4096), 0);
}

static void the_rest(void)
{
	unsigned char a[300], b[300];
	struct rlimit limit;
	char c;

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	expect("getrandom", getrandom(a, 300, 0), 300);
	expect("getrandom again", getrandom(b, 300, 0), 300);
	expect("the same twice", memcmp(a, b, 300) == 0, 0);
	expect("the same at the end", memcmp(a + 292, b + 292, 8) == 0, 0);
	expect("getrandom(bad)", ERROR(syscall(SYS_getrandom, BAD, 16, 0)), EFAULT);
	expect("getrlimit(99)", ERROR(getrlimit(99, &limit)), EINVAL);
	expect("getrlimit", getrlimit(RLIMIT_STACK, &limit), 0);
	expect("the stack is 8 MiB", limit.rlim_cur, 8 << 20);
	expect("read of nobody", ERROR(read(77, &c, 1)), EBADF);
	expect("read of standard input", read(0, &c, 1), 0);
	expect("uid", getuid() == geteuid() && getgid() == getegid(), 1);
}

int main(int argc, char **argv)
{
	expect("arguments", argc, 2);
	expect("CPUs", sysconf(_SC_NPROCESSORS_ONLN), atol(argv[1]));
	times();
	signals();
	futexes();
	the_rest();
	puts("calls: as on Linux");
	return 0;
}
