/*
 * Signals; see signal.h. What cannot be had is refused, so that no program relies on it: handlers
 * and stopping. What the CPU makes of a program's mistakes ends the process at once, whatever it
 * blocks (kill_current_process).
 *
 * Where all threads that a signal may go to block it, it waits, ignored or not: it may not be
 * ignored any more when it comes. Else it ends its process, or, being ignored, does nothing; what
 * waits is forgotten when it becomes ignored. Locks: process_lock guards what is ignored and who is
 * there. What a task blocks it changes itself, without a lock: the sender first says that a signal
 * waits and then looks at the masks, the task first changes its mask and then looks at what waits.
 */
#include "kernel/process/signal.h"

#include "kernel/debug/printk.h"
#include "kernel/debug/unsupported.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/process_internal.h"
#include <limits.h>

#define NSIG 64
#define SIGSET_SIZE 8
#define SIGACTION_SIZE 32
#define SIG_DFL 0
#define SIG_IGN 1
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28

/* signal(7), "Standard signals"; every other one ends the process. */
#define IGNORED_BY_DEFAULT                                                                         \
	(SIG_BIT(SIGCHLD) | SIG_BIT(SIGCONT) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH))
#define STOPS_BY_DEFAULT (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define NEVER_BLOCKED (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))

/* What @p does nothing about when it comes. */
static u64 ignored_by(const struct process *p) __must_hold(process_lock)
{
	return p->sig_ignored | IGNORED_BY_DEFAULT;
}

/* What waits for the caller and is blocked no more. */
static u64 what_is_due(void)
{
	return (READ_ONCE(current->sig_pending) | READ_ONCE(current->process->sig_pending)) &
	       ~current->sig_blocked;
}

/* The same, without what is ignored: that has come. */
static u64 take_ignored(void)
{
	struct process *p = current->process;
	u64 due, ignored;

	spin_lock(&process_lock);
	due = what_is_due();
	ignored = due & ignored_by(p);
	p->sig_pending &= ~ignored;
	__atomic_and_fetch(&current->sig_pending, ~ignored, __ATOMIC_RELAXED);
	spin_unlock(&process_lock);
	return due & ~ignored;
}

/* Of what is due the lowest number ends the caller. */
static void deliver(void)
{
	struct process *p = current->process;
	u64 due;
	int sig;

	smp_mb();
	due = what_is_due() ? take_ignored() : 0;
	if (!due)
		return;
	sig = __builtin_ctzll(due) + 1;
	pr_info("task %s (pid %d tid %d): ended by signal %d, which it blocked or sent itself\n",
		current->name, p->pid, current->tid, sig);
	do_exit_group(STATUS_SIGNALLED(sig));
}

static int change_mask(int how, u64 set)
{
	u64 blocked = current->sig_blocked;

	switch (how) {
	case SIG_BLOCK:
		blocked |= set;
		break;
	case SIG_UNBLOCK:
		blocked &= ~set;
		break;
	case SIG_SETMASK:
		blocked = set;
		break;
	default:
		return -EINVAL;
	}
	WRITE_ONCE(current->sig_blocked, blocked & ~NEVER_BLOCKED);
	return 0;
}

long do_rt_sigprocmask(int how, unsigned long set, unsigned long old, size_t size)
{
	u64 was = current->sig_blocked, given;
	int err = 0;

	if (size != SIGSET_SIZE)
		return -EINVAL;
	if (set && copy_from_user(&given, set, sizeof(given)))
		return -EFAULT;
	if (set)
		err = change_mask(how, given);
	if (!err && old)
		err = copy_to_user(old, &was, sizeof(was));
	deliver();
	return err;
}

/* Whether @p does nothing about @sig when it comes. */
static bool is_ignored(const struct process *p, int sig) __must_hold(process_lock)
{
	return ignored_by(p) & SIG_BIT(sig);
}

static void forget_signal(struct process *p, int sig) __must_hold(process_lock)
{
	struct task *t;

	p->sig_pending &= ~SIG_BIT(sig);
	list_for_each_entry(t, &p->threads, thread_node)
		__atomic_and_fetch(&t->sig_pending, ~SIG_BIT(sig), __ATOMIC_RELAXED);
}

/* From now on @handler says what becomes of @sig; if it is ignored, by default too, what waits of
 * it is forgotten. */
static unsigned long exchange_action(int sig, bool set, unsigned long handler)
{
	struct process *p = current->process;
	unsigned long old;

	spin_lock(&process_lock);
	old = p->sig_ignored & SIG_BIT(sig) ? SIG_IGN : SIG_DFL;
	if (set && handler == SIG_DFL)
		p->sig_ignored &= ~SIG_BIT(sig);
	if (set && handler == SIG_IGN)
		p->sig_ignored |= SIG_BIT(sig);
	if (set && is_ignored(p, sig))
		forget_signal(p, sig);
	spin_unlock(&process_lock);
	return old;
}

long do_rt_sigaction(int sig, unsigned long action, unsigned long old, size_t size)
{
	unsigned long act[SIGACTION_SIZE / 8] = {SIG_DFL};

	if (size != SIGSET_SIZE)
		return -EINVAL;
	if (action && copy_from_user(act, action, sizeof(act)))
		return -EFAULT;
	if (sig < 1 || sig > NSIG || (action && (NEVER_BLOCKED & SIG_BIT(sig))))
		return -EINVAL;
	if (act[0] != SIG_DFL && act[0] != SIG_IGN)
		return unsupported(ENOSYS, "rt_sigaction: a handler of signal %d", sig);
	act[0] = exchange_action(sig, action, act[0]);
	act[1] = act[2] = act[3] = 0;
	return old ? copy_to_user(old, act, sizeof(act)) : 0;
}

long do_rt_sigpending(unsigned long set, size_t size)
{
	u64 pending = (READ_ONCE(current->sig_pending) | READ_ONCE(current->process->sig_pending)) &
		      current->sig_blocked;

	if (size > SIGSET_SIZE)
		return -EINVAL;
	return copy_to_user(set, &pending, size);
}

static bool blocks(const struct task *t, int sig)
{
	return READ_ONCE(t->sig_blocked) & SIG_BIT(sig);
}

/* Whether @sig can go to @to or, NULL, to any thread of @p. It waits already. */
static bool is_taken(const struct process *p, const struct task *to, int sig)
	__must_hold(process_lock)
{
	struct task *t;

	if (to)
		return !blocks(to, sig);
	list_for_each_entry(t, &p->threads, thread_node)
		if (!blocks(t, sig))
			return true;
	return false;
}

/* @to: the thread of @p that it goes to; NULL: any. Whoever it ends finds out on its way to user
 * mode, the caller too. */
static long send_locked(struct process *p, struct task *to, int sig) __must_hold(process_lock)
{
	u64 *pending = to ? &to->sig_pending : &p->sig_pending;

	if (sig < 0 || sig > NSIG)
		return -EINVAL;
	if (!sig || p->zombie)
		return 0;
	if (STOPS_BY_DEFAULT & SIG_BIT(sig))
		return is_ignored(p, sig)
			       ? 0
			       : unsupported(ENOSYS, "kill: signal %d, which stops", sig);
	__atomic_or_fetch(pending, SIG_BIT(sig), __ATOMIC_SEQ_CST);
	if (is_taken(p, to, sig) && is_ignored(p, sig)) {
		__atomic_and_fetch(pending, ~SIG_BIT(sig), __ATOMIC_RELAXED);
	} else if (is_taken(p, to, sig) && !p->exiting) {
		pr_info("task %s (pid %d tid %d): signal %d ends process %d\n", current->name,
			current->process->pid, current->tid, sig, p->pid);
		begin_exit(p, STATUS_SIGNALLED(sig));
	}
	return 0;
}

long do_tkill(int pid, int tid, int sig)
{
	struct task *t;
	long ret = -ESRCH;

	if (tid < 1)
		return -EINVAL;
	spin_lock(&process_lock);
	t = find_user_task(tid);
	if (t && (!pid || t->process->pid == pid))
		ret = send_locked(t->process, t, sig);
	spin_unlock(&process_lock);
	return ret;
}

struct group_kill {
	int pgid; /* 0: all but the caller */
	int sig;
	long ret;
};

/* Not analysed: a callback, whose type cannot say that do_kill() holds process_lock. */
static void kill_member(struct process *p, void *arg) __no_thread_safety
{
	struct group_kill *k = arg;

	if (k->pgid ? p->pgid == k->pgid : p != current->process && p->parent->pid)
		k->ret = send_locked(p, NULL, k->sig);
}

/* kill(2): @pid 0 or below -1 is a group, -1 all processes but the caller and the first. */
long do_kill(int pid, int sig)
{
	struct group_kill k = {.sig = sig, .ret = -ESRCH};
	struct process *p;

	if (pid == INT_MIN)
		return -ESRCH;
	spin_lock(&process_lock);
	if (pid > 0) {
		p = find_process(pid);
		k.ret = p ? send_locked(p, NULL, sig) : -ESRCH;
	} else {
		k.pgid = pid == -1 ? 0 : pid ? -pid : current->process->pgid;
		for_each_process(kill_member, &k);
	}
	spin_unlock(&process_lock);
	return k.ret;
}
