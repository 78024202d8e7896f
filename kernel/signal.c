/*
 * Signals; see signal.h. What cannot be had is refused, so that no program relies on it: handlers,
 * signals to others, and stopping. What the CPU makes of a program's mistakes ends the process at
 * once, whatever it blocks (kill_current_process).
 *
 * No locks: what a task blocks and what waits for it are its own.
 */
#include "kernel/signal.h"

#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/uaccess.h"

#define NSIG 64
#define SIGSET_SIZE 8
#define SIGACTION_SIZE 32
#define SIG_DFL 0
#define SIG_BLOCK 0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2
#define SIGCHLD 17
#define SIGCONT 18
#define SIGSTOP 19
#define SIGTSTP 20
#define SIGTTIN 21
#define SIGTTOU 22
#define SIGURG 23
#define SIGWINCH 28
#define SIG_BIT(sig) BIT((sig)-1)

/* signal(7), "Standard signals"; every other one ends the process. */
#define IGNORED_BY_DEFAULT                                                                         \
	(SIG_BIT(SIGCHLD) | SIG_BIT(SIGCONT) | SIG_BIT(SIGURG) | SIG_BIT(SIGWINCH))
#define STOPS_BY_DEFAULT (SIG_BIT(SIGSTOP) | SIG_BIT(SIGTSTP) | SIG_BIT(SIGTTIN) | SIG_BIT(SIGTTOU))
#define NEVER_BLOCKED (SIG_BIT(SIGKILL) | SIG_BIT(SIGSTOP))

/* The default action of what waits and is blocked no more: with several, of the lowest number. */
static void deliver(void)
{
	u64 due = current->sig_pending & ~current->sig_blocked;
	int sig;

	if (!due)
		return;
	sig = __builtin_ctzll(due) + 1;
	pr_info("task %s (pid %d tid %d): ended by signal %d, which it sent to itself\n",
		current->name, current->process->pid, current->tid, sig);
	do_exit_group(STATUS_SIGNALLED(sig));
}

static int change_mask(int how, u64 set)
{
	u64 *blocked = &current->sig_blocked;

	switch (how) {
	case SIG_BLOCK:
		*blocked |= set;
		break;
	case SIG_UNBLOCK:
		*blocked &= ~set;
		break;
	case SIG_SETMASK:
		*blocked = set;
		break;
	default:
		return -EINVAL;
	}
	*blocked &= ~NEVER_BLOCKED;
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

long do_rt_sigaction(int sig, unsigned long action, unsigned long old, size_t size)
{
	unsigned long handler = SIG_DFL;

	if (size != SIGSET_SIZE || sig < 1 || sig > NSIG ||
	    (action && (NEVER_BLOCKED & SIG_BIT(sig))))
		return -EINVAL;
	if (action && copy_from_user(&handler, action, sizeof(handler)))
		return -EFAULT;
	if (handler != SIG_DFL)
		return -ENOSYS;
	return old ? clear_user(old, SIGACTION_SIZE) : 0;
}

long do_tkill(int tid, int sig)
{
	if (tid < 1 || sig < 0 || sig > NSIG)
		return -EINVAL;
	if (tid != current->tid)
		return -ENOSYS;
	if (!sig || (IGNORED_BY_DEFAULT & SIG_BIT(sig)))
		return 0;
	if (STOPS_BY_DEFAULT & SIG_BIT(sig))
		return -ENOSYS;
	current->sig_pending |= SIG_BIT(sig);
	deliver();
	return 0;
}
