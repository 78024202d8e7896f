/*
 * Answers of the calls of processes, signals, limits and futexes; see answers.h.
 */
#include "answers.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

#define NOBODY 999999
#define WALL 0x40000000
#define WCLONE 0x80000000U
#define WNOTHREAD 0x20000000

static int status;

/* A child that ends with @code at once, @flags as clone takes them. */
static pid_t child(int code, unsigned long flags)
{
	pid_t pid;

	fflush(stdout);
	pid = S(SYS_clone, flags, 0, 0, 0, 0);
	if (!pid)
		_exit(code);
	return pid;
}

static pid_t sleeper(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		for (;;)
			sleep(1000);
	return pid;
}

static void wait_rows(void)
{
	pid_t pid;

	E(ECHILD, waitpid(-1, &status, 0));
	E(ECHILD, waitpid(0, &status, 0));
	E(ECHILD, waitpid(NOBODY, &status, 0));
	E(ECHILD, waitpid(-NOBODY, &status, 0));
	E(ECHILD, waitpid(-1, &status, WUNTRACED | WCONTINUED | WALL));
	E(ECHILD, waitpid(-1, &status, WNOHANG));
	E(EINVAL, waitpid(-1, &status, 0x99));
	E(EINVAL, waitpid(-1, &status, 4));
	E(EINVAL, waitpid(INT_MIN, &status, 0x99));
	E(ESRCH, waitpid(INT_MIN, &status, 0));
	E(ECHILD, S(SYS_wait4, -1 & 0xffffffffL, 0, DIRT, 0));
	pid = child(7, SIGCHLD);
	V(1, waitpid(pid, &status, WUNTRACED) == pid);
	V(7 << 8, status);
	pid = child(8, SIGCHLD);
	V(1, waitpid(0, &status, WCONTINUED) == pid);
	V(8 << 8, status);
	pid = child(9, SIGCHLD);
	V(1, waitpid(-getpgrp(), &status, 0) == pid);
	V(9 << 8, status);
	pid = child(300, SIGCHLD);
	E(ECHILD, waitpid(-1, &status, WCLONE));
	V(1, S(SYS_wait4, pid | DIRT, &status, 0, 0) == pid);
	V(44 << 8, status);
	pid = child(3, 0);
	E(ECHILD, waitpid(-1, &status, 0));
	V(1, waitpid(-1, &status, WCLONE) == pid);
	pid = child(3, 0);
	V(1, waitpid(-1, &status, WALL) == pid);
	child(1, SIGCHLD);
	E(EFAULT, S(SYS_wait4, -1, BAD_POINTER, 0, 0));
	E(ECHILD, waitpid(-1, &status, 0));
	child(1, SIGCHLD);
	E(EFAULT, S(SYS_wait4, -1, 0, 0, BAD_POINTER));
}

static void clone_rows(void)
{
	E(EINVAL, S(SYS_clone, 0x10000 | SIGCHLD, 0, 0, 0, 0));
	E(EINVAL, S(SYS_clone, 0x10800 | SIGCHLD, 0, 0, 0, 0));
	E(EINVAL, S(SYS_clone, 0x800 | SIGCHLD, 0, 0, 0, 0));
	E(EPERM, S(SYS_clone, 0x80000 | SIGCHLD, 0, 0, 0, 1UL << 47));
	P(child(0, SIGCHLD | DIRT));
	P(waitpid(-1, &status, 0));
	P(child(5, 0x4000 | SIGCHLD /* VFORK */));
	P(waitpid(-1, &status, 0));
	V(5 << 8, status);
}

static void group_rows(void)
{
	pid_t pid = sleeper();

	V(1, getpgid(0) == getpgrp());
	V(1, getpgid(pid) == getpgrp());
	V(1, getsid(pid) == getsid(0));
	E(ESRCH, getpgid(NOBODY));
	E(ESRCH, getpgid(-1));
	E(ESRCH, getsid(NOBODY));
	E(EINVAL, setpgid(0, -1));
	E(ESRCH, setpgid(NOBODY, 0));
	E(EPERM, setpgid(pid, NOBODY));
	V(0, setpgid(pid, 0));
	V(1, getpgid(pid) == pid);
	E(ECHILD, waitpid(0, &status, WNOHANG));
	V(0, waitpid(-pid, &status, WNOHANG));
	V(0, kill(-pid, SIGKILL));
	V(1, waitpid(-pid, &status, 0) == pid);
	V(SIGKILL, status);
	E(ESRCH, kill(-pid, 0));
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		_exit((setsid() == -1 && errno == EPERM) ? 3 : 4);
	}
	waitpid(pid, &status, 0);
	V(3 << 8, status);
	pid = fork();
	if (!pid)
		_exit(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid() ? 3
											     : 4);
	waitpid(pid, &status, 0);
	V(3 << 8, status);
}

static void kill_rows(void)
{
	int self = getpid();
	pid_t pid;

	E(EINVAL, S(SYS_tkill, 0, 0));
	E(EINVAL, S(SYS_tkill, -1, 0));
	E(EINVAL, S(SYS_tkill, self, 65));
	E(EINVAL, S(SYS_tkill, self, -1));
	E(ESRCH, S(SYS_tkill, NOBODY, 0));
	E(ESRCH, S(SYS_tkill, NOBODY, 65));
	V(0, S(SYS_tkill, self, 0));
	V(0, S(SYS_tkill, self | DIRT, DIRT));
	V(0, S(SYS_tkill, self, SIGCHLD));
	E(ESRCH, S(SYS_tgkill, self, NOBODY, 0));
	E(ESRCH, S(SYS_tgkill, NOBODY, NOBODY, 0));
	E(ESRCH, S(SYS_tgkill, NOBODY, self, 0));
	E(EINVAL, S(SYS_tgkill, -1, 1, 0));
	E(EINVAL, S(SYS_tgkill, self, 0, 0));
	V(0, S(SYS_tgkill, self, self, 0));
	E(ESRCH, kill(NOBODY, 0));
	E(ESRCH, kill(NOBODY, 65));
	E(ESRCH, kill(INT_MIN, 0));
	E(ESRCH, kill(-NOBODY, SIGTERM));
	E(EINVAL, kill(self, 65));
	V(0, kill(self, 0));
	V(0, kill(0, 0));
	pid = sleeper();
	V(0, kill(pid, 0));
	V(0, kill(pid, SIGWINCH));
	V(0, waitpid(pid, &status, WNOHANG));
	V(0, kill(pid, SIGTERM));
	V(1, waitpid(pid, &status, 0) == pid);
	V(SIGTERM, status);
	pid = sleeper();
	V(0, S(SYS_tkill, pid, SIGKILL));
	V(1, waitpid(pid, &status, 0) == pid);
	V(SIGKILL, status);
	pid = child(0, SIGCHLD);
	usleep(20000);
	V(0, kill(pid, SIGKILL)); /* a zombie */
	V(1, waitpid(pid, &status, 0) == pid);
	V(0, status);
}

static int ignored_and_blocked(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
	sigset_t set, pending;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaction(SIGUSR1, &ignore, NULL);
	kill(getpid(), SIGUSR1); /* nothing */
	sigaction(SIGUSR1, NULL, &old);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR2);
	sigpending(&pending);
	if (old.sa_handler != SIG_IGN || !sigismember(&pending, SIGUSR2))
		return 1;
	sigaction(SIGUSR2, &ignore, NULL); /* forgotten */
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ignore.sa_handler = SIG_DFL;
	sigaction(SIGUSR2, &ignore, NULL);
	kill(getpid(), SIGUSR2);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it ends */
	return 2;
}

/* In a child that may die of it: @sig is blocked, and sent to the process or to the thread. */
static sigset_t block_only(int sig)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(SIG_BLOCK, &set, &old);
	return set;
}

static void act(int sig, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	sigaction(sig, &action, NULL);
}

static int waits(int sig)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, sig);
}

struct sent {
	int sig;
	int to_thread;
};

static void send_it(const struct sent *s)
{
	if (s->to_thread)
		S(SYS_tgkill, getpid(), S(SYS_gettid), s->sig);
	else
		kill(getpid(), s->sig);
}

/* What waits is forgotten when it is ignored, and nothing is left when it is not any more. */
static void ignored_later(void *arg)
{
	const struct sent *s = arg;
	sigset_t set = block_only(s->sig);
	int before, after;

	send_it(s);
	before = waits(s->sig);
	act(s->sig, SIG_IGN);
	after = waits(s->sig);
	act(s->sig, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(before * 2 + after);
}

static void *ignore_for_a_while(void *arg)
{
	const struct sent *s = arg;

	act(s->sig, SIG_IGN);
	act(s->sig, SIG_DFL);
	return NULL;
}

static void ignored_by_another(void *arg)
{
	const struct sent *s = arg;
	sigset_t set = block_only(s->sig);
	pthread_t thread;

	send_it(s);
	pthread_create(&thread, NULL, ignore_for_a_while, arg);
	pthread_join(thread, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(waits(s->sig));
}

/* Blocked, it waits though it is ignored: it may not be ignored when it comes. */
static void ignored_while_sent(void *arg)
{
	const struct sent *s = arg;
	sigset_t set = block_only(s->sig);
	int before;

	act(s->sig, SIG_IGN);
	send_it(s);
	before = waits(s->sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(before * 2 + waits(s->sig));
}

static void ignored_until_it_comes(void *arg)
{
	const struct sent *s = arg;
	sigset_t set = block_only(s->sig);

	act(s->sig, SIG_IGN);
	send_it(s);
	act(s->sig, SIG_DFL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(1);
}

/* The default forgets, too, what it ignores: and only that. */
static void default_again(void *arg)
{
	const struct sent *s = arg;
	sigset_t set = block_only(s->sig);
	int before, after;

	send_it(s);
	before = waits(s->sig);
	act(s->sig, SIG_DFL);
	after = waits(s->sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(before * 2 + after);
}

static void ignored_rows(void)
{
	struct sent term = {SIGTERM, 0}, term_here = {SIGTERM, 1}, real_time = {SIGRTMAX, 0};
	struct sent child = {SIGCHLD, 0}, urgent = {SIGURG, 1}, window = {SIGWINCH, 0},
		    go_on = {SIGCONT, 1};

	V(2 << 8, dies(ignored_later, &term));
	V(2 << 8, dies(ignored_later, &term_here));
	V(2 << 8, dies(ignored_later, &real_time));
	V(2 << 8, dies(ignored_later, &child));
	V(0, dies(ignored_by_another, &term));
	V(0, dies(ignored_by_another, &term_here));
	V(2 << 8, dies(ignored_while_sent, &term));
	V(2 << 8, dies(ignored_while_sent, &term_here));
	V(2 << 8, dies(ignored_while_sent, &window));
	V(SIGTERM, dies(ignored_until_it_comes, &term));
	V(SIGTERM, dies(ignored_until_it_comes, &term_here));
	V(1 << 8, dies(ignored_until_it_comes, &window));
	V(2 << 8, dies(default_again, &child));
	V(2 << 8, dies(default_again, &urgent));
	V(2 << 8, dies(default_again, &window));
	V(2 << 8, dies(default_again, &go_on));
	V(SIGTERM, dies(default_again, &term));
	V(SIGTERM, dies(default_again, &term_here));
}

static void signal_rows(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	unsigned long act[4] = {0};
	pid_t pid;

	E(EINVAL, S(SYS_rt_sigaction, 9, act, 0, 8));
	E(EINVAL, S(SYS_rt_sigaction, 0, 0, 0, 8));
	E(EINVAL, S(SYS_rt_sigaction, 65, 0, 0, 8));
	E(EINVAL, S(SYS_rt_sigaction, 10, 0, 0, 4));
	E(EFAULT, S(SYS_rt_sigaction, 10, BAD_POINTER, 0, 8));
	E(EFAULT, S(SYS_rt_sigaction, 9, BAD_POINTER, 0, 8));
	E(EFAULT, S(SYS_rt_sigaction, 10, 0, BAD_POINTER, 8));
	V(0, S(SYS_rt_sigaction, 64 | DIRT, 0, act, 8));
	V(0, S(SYS_rt_sigaction, 9, 0, act, 8));
	E(EINVAL, S(SYS_rt_sigprocmask, 99, act, 0, 8));
	V(0, S(SYS_rt_sigprocmask, 99, 0, 0, 8));
	V(0, S(SYS_rt_sigprocmask, DIRT, act, 0, 8));
	E(EINVAL, S(SYS_rt_sigprocmask, 0, 0, 0, 4));
	E(EFAULT, S(SYS_rt_sigprocmask, 0, BAD_POINTER, 0, 8));
	E(EFAULT, S(SYS_rt_sigprocmask, 0, 0, BAD_POINTER, 8));
	E(EINVAL, S(SYS_rt_sigpending, act, 9));
	E(EFAULT, S(SYS_rt_sigpending, BAD_POINTER, 8));
	pid = fork();
	if (!pid)
		_exit(ignored_and_blocked());
	waitpid(pid, &status, 0);
	V(SIGUSR2, status);
	V(0, sigaction(SIGCHLD, &ignore, NULL));
	pid = child(1, SIGCHLD);
	E(ECHILD, waitpid(pid, &status, 0)); /* none is left behind */
	ignore.sa_handler = SIG_DFL;
	V(0, sigaction(SIGCHLD, &ignore, NULL));
}

static void limit_rows(void)
{
	unsigned long limit[2], more[2] = {2, 1};

	E(EINVAL, S(SYS_prlimit64, 0, 99, 0, limit));
	E(EINVAL, S(SYS_prlimit64, 0, 16, 0, limit));
	E(EFAULT, S(SYS_prlimit64, 0, 7, 0, BAD_POINTER));
	E(EFAULT, S(SYS_prlimit64, 0, 7, BAD_POINTER, 0));
	E(EFAULT, S(SYS_prlimit64, NOBODY, 99, BAD_POINTER, 0));
	E(ESRCH, S(SYS_prlimit64, NOBODY, 7, 0, limit));
	E(ESRCH, S(SYS_prlimit64, NOBODY, 99, 0, limit));
	V(0, S(SYS_prlimit64, DIRT, DIRT | 7, 0, limit));
	V(1, (long)limit[0] > 0 && limit[0] < 1UL << 31);
	V(1, getdtablesize() > 0);
	V(0, S(SYS_prlimit64, getpid(), 7, limit, limit));
	V(0, S(SYS_setrlimit, 7, limit));
	E(EINVAL, S(SYS_setrlimit, 7, more));
	more[0] = more[1] = 1UL << 40;
	E(EPERM, S(SYS_setrlimit, 7, more));
	E(EFAULT, S(SYS_setrlimit, 7, BAD_POINTER));
	E(EINVAL, S(SYS_setrlimit, 99, limit));
	E(EINVAL, S(SYS_getrlimit, 99, limit));
	E(EFAULT, S(SYS_getrlimit, 7, BAD_POINTER));
	V(0, S(SYS_getrlimit, RLIMIT_AS, limit));
	V(1, limit[0] == ~0UL);
	limit[0] = 1UL << 30;
	V(0, S(SYS_setrlimit, RLIMIT_AS, limit));
	E(ENOMEM, mmap(0, 1UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	P(mmap(0, 1UL << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	limit[0] = ~0UL;
	V(0, S(SYS_setrlimit, RLIMIT_AS, limit));
}

static void schedule_rows(void)
{
	unsigned long mask[16] = {0}, none[16] = {0};
	int param;

	V(1, S(SYS_sched_getaffinity, 0, 128, mask) > 0);
	E(EINVAL, S(SYS_sched_getaffinity, 0, 0, mask));
	E(EINVAL, S(SYS_sched_getaffinity, 0, 1, mask));
	E(EINVAL, S(SYS_sched_getaffinity, 0, 4, mask));
	E(EINVAL, S(SYS_sched_getaffinity, 0, 7, mask));
	E(EINVAL, S(SYS_sched_getaffinity, 0, 127, mask));
	E(ESRCH, S(SYS_sched_getaffinity, NOBODY, 128, mask));
	E(EFAULT, S(SYS_sched_getaffinity, 0, 128, BAD_POINTER));
	V(1, S(SYS_sched_getaffinity, getppid() | DIRT, 128 | DIRT, mask) > 0);
	E(EFAULT, S(SYS_sched_setaffinity, 0, 128, BAD_POINTER));
	E(EINVAL, S(SYS_sched_setaffinity, 0, 128, none));
	E(ESRCH, S(SYS_sched_setaffinity, NOBODY, 128, mask));
	V(0, S(SYS_sched_setaffinity, 0, 128, mask));
	V(99, sched_get_priority_max(SCHED_FIFO));
	V(1, sched_get_priority_min(SCHED_RR));
	V(0, sched_get_priority_max(SCHED_OTHER));
	V(0, sched_get_priority_min(SCHED_BATCH));
	V(0, sched_get_priority_max(SCHED_IDLE));
	E(EINVAL, sched_get_priority_max(4));
	E(EINVAL, sched_get_priority_min(-1));
	V(0, S(SYS_sched_getscheduler, 0));
	E(EINVAL, S(SYS_sched_getscheduler, -1));
	E(ESRCH, S(SYS_sched_getscheduler, NOBODY));
	V(0, S(SYS_sched_getparam, 0, &param));
	E(EINVAL, S(SYS_sched_getparam, 0, 0));
	E(EINVAL, S(SYS_sched_getparam, -1, &param));
	E(ESRCH, S(SYS_sched_getparam, NOBODY, &param));
	V(0, S(SYS_sched_yield));
	V(0, S(SYS_getcpu, 0, 0, 0));
	E(EFAULT, S(SYS_getcpu, BAD_POINTER, 0, 0));
}

static void futex_rows(void)
{
	struct timespec soon = {0, 1000}, bad = {0, -1};
	unsigned x = 0, y = 7;
	unsigned *ro = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned *sh = mmap(0, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	E(EAGAIN, S(SYS_futex, &x, 0, 1, 0));
	E(EAGAIN, S(SYS_futex, &x, DIRT, 1 | DIRT, 0));
	E(EINVAL, S(SYS_futex, 1, 0, 0, 0));
	E(EINVAL, S(SYS_futex, 3, 1, 0, 0));
	E(EFAULT, S(SYS_futex, 0, 1, 0, 0));
	E(EFAULT, S(SYS_futex, 8, 0, 0, 0));
	E(EFAULT, S(SYS_futex, 8, 128, 0, 0));
	V(0, S(SYS_futex, 8, 129, 1, 0));
	E(EFAULT, S(SYS_futex, 1UL << 48, 129, 1, 0));
	E(EFAULT, S(SYS_futex, ro, 1, 1, 0));
	V(0, S(SYS_futex, ro, 129, 1, 0));
	V(0, S(SYS_futex, sh, 1, 1, 0));
	E(ETIMEDOUT, S(SYS_futex, &x, 0, 0, &soon));
	E(EINVAL, S(SYS_futex, &x, 0, 0, &bad));
	E(EFAULT, S(SYS_futex, &x, 0, 0, BAD_POINTER));
	E(EINVAL, S(SYS_futex, &x, 9, 0, &soon, 0, 0));
	E(ETIMEDOUT, S(SYS_futex, &x, 9, 0, &soon, 0, 1));
	E(EAGAIN, S(SYS_futex, &x, 9, 1, &soon, 0, 1));
	E(EINVAL, S(SYS_futex, &x, 10, 1, 0, 0, 0));
	V(0, S(SYS_futex, &x, 10, 1, 0, 0, 1));
	V(0, S(SYS_futex, &x, 1, -1, 0, 0, 0));
	E(ENOSYS, S(SYS_futex, &x, 1 | 256, 1, 0));
	E(ENOSYS, S(SYS_futex, &x, 99, 0, 0, 0, 0));
	E(EINVAL, S(SYS_futex, &x, 3, 1, -1, &y, 0));
	E(EINVAL, S(SYS_futex, &x, 4, -1, 1, &y, 0));
	E(EAGAIN, S(SYS_futex, &x, 4, 1, 1, &y, 1));
	V(0, S(SYS_futex, &x, 4, 1, 1, &y, 0));
	E(EFAULT, S(SYS_futex, &x, 4, 1, 1, 8, 0));
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 0 << 28 | 5 << 12));
	V(5, y);
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 1 << 28 | 0xfff << 12));
	V(4, y);
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 2 << 28 | 3 << 12));
	V(7, y);
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 3 << 28 | 5 << 12));
	V(2, y);
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 4 << 28 | 3 << 12));
	V(1, y);
	V(0, S(SYS_futex, &x, 5, 1, 1, &y, 8U << 28 | 10 << 12));
	V(1024, y);
	E(ENOSYS, S(SYS_futex, &x, 5, 1, 1, &y, 5 << 28));
	E(ENOSYS, S(SYS_futex, &x, 5, 1, 1, &y, 6 << 24));
	E(EFAULT, S(SYS_futex, &x, 5, 1, 1, ro, 0));
}

/* In a child: wait at @word, which is 0, with @bitset. */
static pid_t waiter(unsigned *word, unsigned bitset)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(S(SYS_futex, word, 9, 0, 0, 0, bitset) != 0);
	return pid;
}

/* The first answer above 0, when the child has come to sleep; 0 after a second. */
#define SOON(call)                                                                                 \
	({                                                                                         \
		long got = 0;                                                                      \
		for (int i = 0; i < 1000 && (got = (call)) == 0; i++)                              \
			usleep(1000);                                                              \
		got;                                                                               \
	})

/* Who waits is woken, or waits somewhere else, by the operations that do more than to wake. */
static void wake_rows(void)
{
	unsigned *w = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = waiter(w, -1);

	V(1, SOON(S(SYS_futex, w, 4, 0, 1, w + 1, 0)));
	V(0, S(SYS_futex, w, 1, 1, 0, 0, 0));
	E(EAGAIN, S(SYS_futex, w + 1, 4, 0, 1, w, 1));
	V(1, S(SYS_futex, w + 1, 1, 1, 0, 0, 0));
	V(1, waitpid(pid, &status, 0) == pid);
	V(0, status);
	pid = waiter(w, 2);
	V(1, SOON(S(SYS_futex, w, 10, 1, 0, 0, 6)));
	V(1, waitpid(pid, &status, 0) == pid);
	pid = waiter(w, 2);
	V(1, SOON(S(SYS_futex, w, 3, 0, 1, w + 2, 0)));
	V(0, S(SYS_futex, w + 2, 10, 1, 0, 0, 4));
	V(0, S(SYS_futex, w + 2, 129, 1, 0, 0, 0));
	V(1, S(SYS_futex, w + 2, 10, 1, 0, 0, 2));
	V(1, waitpid(pid, &status, 0) == pid);
	pid = waiter(w, -1);
	/* Add 0, and wake the second if it was 1: never; if it was 0: yes. */
	V(0, S(SYS_futex, w + 3, 5, 1, 1, w, 1 << 28 | 1));
	V(1, SOON(S(SYS_futex, w + 3, 5, 1, 1, w, 1 << 28)));
	V(1, waitpid(pid, &status, 0) == pid);
	V(0, status);
}

/* --- FUTEX_WAKE_OP --- */

#define SET 0
#define ADD 1
#define OR 2
#define ANDN 3
#define XOR 4
#define SHIFTED 8U
#define EQ 0
#define NE 1
#define LT 2
#define LE 3
#define GT 4
#define GE 5

static unsigned encode(unsigned op, int arg, unsigned cmp, int cmp_arg)
{
	return op << 28 | cmp << 24 | (arg & 0xfff) << 12 | (cmp_arg & 0xfff);
}

/* What becomes of @old; FAILED: of the call, nothing. */
#define FAILED (-0x100000000L)
static long becomes(unsigned op, unsigned old, int arg)
{
	unsigned x = 0, y = old;

	return S(SYS_futex, &x, 5, 1, 1, &y, encode(op, arg, EQ, 0)) ? FAILED : y;
}

static void op_rows(void)
{
	unsigned x = 0, y = 0;

	V(0xffffffff, becomes(SET, 7, -1));
	V(0xfffff800, becomes(SET, 7, -2048));
	V(2047, becomes(SET, 7, 2047));
	V(6, becomes(ADD, 7, -1));
	V(0xfffff801, becomes(ADD, 1, -2048));
	V(0xffffffff, becomes(ADD, 0, -1));
	V(0, becomes(ADD, 0xffffffff, 1));
	V(0xfffffff3, becomes(OR, 3, -16));
	V(0x77, becomes(OR, 0x70, 0x17));
	V(0xf, becomes(ANDN, 0xffff, -16));
	V(0x60, becomes(ANDN, 0x70, 0x17));
	V(0xffff5a5a, becomes(XOR, 0xa5a5, -1));
	V(0x67, becomes(XOR, 0x70, 0x17));
	V(0x80000000, becomes(SET | SHIFTED, 7, 31));
	V(1, becomes(SET | SHIFTED, 7, 0));
	V(0x407, becomes(ADD | SHIFTED, 7, 10));
	V(7, becomes(ADD | SHIFTED, 0x80000007, 31));
	V(0x17, becomes(OR | SHIFTED, 7, 4));
	V(5, becomes(ANDN | SHIFTED, 7, 1));
	V(0xf, becomes(XOR | SHIFTED, 7, 3));
	V(6, becomes(XOR | SHIFTED, 7, 0));
	V(2, becomes(SET | SHIFTED, 7, 33));
	V(0x80000000, becomes(SET | SHIFTED, 7, -1));
	for (unsigned op = 5; op < 8; op++)
		E(ENOSYS, S(SYS_futex, &x, 5, 1, 1, &y, encode(op, 1, EQ, 0)));
	V(0, y);
	for (unsigned cmp = 6; cmp < 16; cmp++)
		E(ENOSYS, S(SYS_futex, &x, 5, 1, 1, &y, encode(ADD, 1, cmp, 0)));
	V(10, y); /* it was changed before anybody looked at the comparison */
}

static unsigned *cmp_word; /* where all of them wait */

/* Whether one of them is woken. */
static long wakes(unsigned cmp, int old, int arg)
{
	cmp_word[1] = old;
	return S(SYS_futex, cmp_word + 3, 5, 1, 1, cmp_word + 1, encode(ADD, 0, cmp, arg));
}

#define WAITERS 19 /* one more than are woken */

static void cmp_rows(void)
{
	long asleep = 0;

	cmp_word = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < WAITERS; i++)
		waiter(cmp_word, -1);
	for (int i = 0; i < 2000 && asleep < WAITERS; i++) {
		asleep += S(SYS_futex, cmp_word, 4, 0, INT_MAX, cmp_word + 1, 0);
		usleep(1000);
	}
	V(WAITERS, asleep);
	V(1, wakes(EQ, -5, -5));
	V(0, wakes(EQ, -5, 5));
	V(0, wakes(EQ, 4095, -1));
	V(1, wakes(EQ, -2048, -2048));
	V(0, wakes(EQ, 2048, -2048));
	V(1, wakes(EQ, 2047, 2047));
	V(0, wakes(NE, -5, -5));
	V(1, wakes(NE, 4091, -5));
	V(1, wakes(NE, 4, 5));
	V(0, wakes(LT, -5, -5));
	V(1, wakes(LT, -6, -5));
	V(0, wakes(LT, -4, -5));
	V(1, wakes(LT, -1, 0));
	V(0, wakes(LT, 0, -1));
	V(1, wakes(LT, 4, 5));
	V(1, wakes(LE, -5, -5));
	V(1, wakes(LE, -6, -5));
	V(0, wakes(LE, -4, -5));
	V(0, wakes(LE, 5, -1));
	V(1, wakes(LE, 4, 5));
	V(0, wakes(GT, -5, -5));
	V(0, wakes(GT, -6, -5));
	V(1, wakes(GT, -4, -5));
	V(1, wakes(GT, 0, -1));
	V(0, wakes(GT, -1, 0));
	V(1, wakes(GT, 0x7fffffff, 2047));
	V(0, wakes(GT, 0x80000000, -2048));
	V(1, wakes(GE, -5, -5));
	V(0, wakes(GE, -6, -5));
	V(1, wakes(GE, -4, -5));
	V(1, wakes(GE, 5, -1));
	V(0, wakes(GE, 4, 5));
	V(1, wakes(GE, 0, -2048));
	V(0, wakes(EQ, 1, 0));
	V(1, S(SYS_futex, cmp_word + 1, 1, INT_MAX, 0, 0, 0));
	for (int i = 0; i < WAITERS; i++)
		waitpid(-1, NULL, 0);
}

/* From one shared object to another, of which one is unmapped then. */
static void requeue_rows(void)
{
	unsigned *a = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned *b = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = waiter(a, -1);

	V(1, SOON(S(SYS_futex, a, 4, 0, 1, b, 0)));
	V(0, munmap(a, PAGE));
	V(1, S(SYS_futex, b, 1, 1, 0, 0, 0));
	V(1, waitpid(pid, &status, 0) == pid);
	V(0, status);
	V(0, S(SYS_futex, b, 1, 1, 0, 0, 0));
	V(0, *b);
	V(0, munmap(b, PAGE));
}

static void other_rows(void)
{
	struct sysinfo info;
	struct utsname name;
	struct rusage usage;
	unsigned x;

	V(0, uname(&name));
	V(0, strcmp(name.sysname, "Linux") | strcmp(name.machine, "x86_64"));
	E(EFAULT, S(SYS_uname, BAD_POINTER));
	V(0, sysinfo(&info));
	V(1, info.totalram >= info.freeram && info.freeram > 0 && info.mem_unit > 0);
	E(EFAULT, S(SYS_sysinfo, BAD_POINTER));
	V(0, getrusage(RUSAGE_SELF, &usage));
	V(0, getrusage(RUSAGE_CHILDREN, &usage));
	E(EINVAL, getrusage(5, &usage));
	E(EFAULT, S(SYS_getrusage, 0, BAD_POINTER));
	V(0, S(SYS_getrandom, 0, 0, 0));
	V(4, S(SYS_getrandom, &x, 4, DIRT | 1));
	E(EINVAL, S(SYS_getrandom, &x, 4, 0xff));
	E(EINVAL, S(SYS_getrandom, &x, 4, 8));
	E(EINVAL, S(SYS_getrandom, &x, 4, 6));
	E(EFAULT, S(SYS_getrandom, BAD_POINTER, 4, 0));
	E(EINVAL, S(SYS_arch_prctl, 0x9999, 0));
	E(EFAULT, S(SYS_arch_prctl, 0x1003, BAD_POINTER));
	E(EPERM, S(SYS_arch_prctl, 0x1002, 1UL << 47));
	E(ENOSYS, S(510));
	E(ENOSYS, S(100000));
	E(ENOSYS, S(-1));
	V(1, S(SYS_getpid | DIRT) == getpid());
	V(0, write(1, BAD_POINTER, 0));
	E(EFAULT, write(1, BAD_POINTER, 5));
	E(EBADF, S(SYS_write, 99, "x", 1));
	E(EBADF, S(SYS_write, -1, "x", 1));
	E(EBADF, S(SYS_read, 99, 0, 0));
	E(EFAULT, S(SYS_writev, 1, BAD_POINTER, 1));
	V(0, S(SYS_writev, 1, 0, 0));
	V(0, S(SYS_writev, 1 | DIRT, 0, 0));
	E(EINVAL, S(SYS_writev, 1, 0, -1));
	E(EINVAL, S(SYS_writev, 1, 0, 1025));
	E(EBADF, S(SYS_writev, 99, 0, 0));
	E(EBADF, S(SYS_ioctl, 99, 0x5401, 0));
}

static void all(void)
{
	wait_rows();
	clone_rows();
	group_rows();
	kill_rows();
	signal_rows();
	ignored_rows();
	limit_rows();
	schedule_rows();
	futex_rows();
	wake_rows();
	op_rows();
	cmp_rows();
	requeue_rows();
	other_rows();
}

int main(void)
{
	return run_rows(all);
}
