/*
 * The system calls of processes and threads: who they are, where they run, their ends, limits and
 * signals. Locks: those of what is called.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/rng.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/exec.h"
#include "kernel/process/process.h"
#include "kernel/process/signal.h"
#include "kernel/process/syscall.h"
#include "kernel/sched/sched.h"
#include "pv/pv_ops.h"

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define RANDOM_CHUNK 256
#define RANDOM_STREAMS (1UL << 32) /* beyond those of tasks and CPUs */
/* getrandom(2): NONBLOCK, RANDOM and INSECURE, and the two that exclude each other. */
#define GRND_KNOWN 7u
#define GRND_EXCLUSIVE 6u

struct user_bases {
	unsigned long fs, gs;
};

SYSCALL_DEFINE0(sched_yield)
{
	sched_yield();
	return 0;
}

SYSCALL_DEFINE0(getpid)
{
	return current->process->pid;
}

SYSCALL_DEFINE0(gettid)
{
	return current->tid;
}

SYSCALL_DEFINE0(getppid)
{
	return READ_ONCE(current->process->ppid);
}

/* There is one user and one group, as the auxiliary vector says too. */
SYSCALL_DEFINE0(getuid)
{
	return 0;
}

SYSCALL_DEFINE0(geteuid)
{
	return 0;
}

SYSCALL_DEFINE0(getgid)
{
	return 0;
}

SYSCALL_DEFINE0(getegid)
{
	return 0;
}

SYSCALL_DEFINE0(fork)
{
	return do_clone(task_user_regs(current), &(struct clone_args){.flags = SIGCHLD});
}

SYSCALL_DEFINE0(vfork)
{
	return do_clone(task_user_regs(current),
			&(struct clone_args){.flags = CLONE_VFORK | CLONE_VM | SIGCHLD});
}

/* The flags are an unsigned long here, too, but Linux looks at 32 bits of them. */
SYSCALL_DEFINE5(clone, u32, flags, unsigned long, stack, unsigned long, parent_tid, unsigned long,
		child_tid, unsigned long, tls)
{
	return do_clone(task_user_regs(current), &(struct clone_args){
							 .flags = flags,
							 .stack = stack,
							 .parent_tid = parent_tid,
							 .child_tid = child_tid,
							 .tls = tls,
						 });
}

SYSCALL_DEFINE1(exit, int, code)
{
	do_exit_thread(code);
}

SYSCALL_DEFINE1(exit_group, int, code)
{
	do_exit_group(STATUS_EXITED(code));
}

SYSCALL_DEFINE4(wait4, int, pid, unsigned long, status, int, options, unsigned long, rusage)
{
	return do_wait4(pid, status, options, rusage);
}

SYSCALL_DEFINE3(sched_setaffinity, int, tid, unsigned int, len, unsigned long, mask)
{
	return do_sched_setaffinity(tid, len, mask);
}

SYSCALL_DEFINE3(sched_getaffinity, int, tid, unsigned int, len, unsigned long, mask)
{
	return do_sched_getaffinity(tid, len, mask);
}

/* The bases as they are in the CPU, before @set, if any, changes one of them. */
static struct user_bases exchange_bases(void (*set)(struct task *t, unsigned long base),
					unsigned long base)
{
	unsigned long flags = local_irq_save();
	struct user_bases old;

	pv_save_user_segments(current);
	old = (struct user_bases){current->fs_base, current->gs_base};
	if (set) {
		set(current, base);
		pv_load_user_segments(current);
	}
	local_irq_restore(flags);
	return old;
}

static long set_base(void (*set)(struct task *t, unsigned long base), unsigned long base)
{
	if (base >= USER_END)
		return -EPERM;
	exchange_bases(set, base);
	return 0;
}

SYSCALL_DEFINE2(arch_prctl, int, option, unsigned long, addr)
{
	struct user_bases bases;

	switch (option) {
	case ARCH_GET_FS:
		bases = exchange_bases(NULL, 0);
		return copy_to_user(addr, &bases.fs, sizeof(bases.fs));
	case ARCH_GET_GS:
		bases = exchange_bases(NULL, 0);
		return copy_to_user(addr, &bases.gs, sizeof(bases.gs));
	case ARCH_SET_FS:
		return set_base(set_fs_base, addr);
	case ARCH_SET_GS:
		return set_base(set_gs_base, addr);
	default:
		return -EINVAL;
	}
}

SYSCALL_DEFINE1(set_tid_address, unsigned long, addr)
{
	current->clear_child_tid = addr;
	return current->tid;
}

SYSCALL_DEFINE4(rt_sigaction, int, sig, unsigned long, action, unsigned long, old, size_t, size)
{
	return do_rt_sigaction(sig, action, old, size);
}

SYSCALL_DEFINE4(rt_sigprocmask, int, how, unsigned long, set, unsigned long, old, size_t, size)
{
	return do_rt_sigprocmask(how, set, old, size);
}

SYSCALL_DEFINE2(tkill, int, tid, int, sig)
{
	return do_tkill(0, tid, sig);
}

SYSCALL_DEFINE3(tgkill, int, pid, int, tid, int, sig)
{
	return pid > 0 ? do_tkill(pid, tid, sig) : -EINVAL;
}

SYSCALL_DEFINE2(kill, int, pid, int, sig)
{
	return do_kill(pid, sig);
}

SYSCALL_DEFINE2(rt_sigpending, unsigned long, set, size_t, size)
{
	return do_rt_sigpending(set, size);
}

/* As all randomness here it comes from the seed, so that runs repeat: good for tests, no secret. */
SYSCALL_DEFINE3(getrandom, unsigned long, buf, size_t, n, unsigned int, flags)
{
	static u64 stream = RANDOM_STREAMS;
	struct rng rng = rng_stream(boot_seed, __atomic_fetch_add(&stream, 1, __ATOMIC_RELAXED));
	u64 chunk[RANDOM_CHUNK / sizeof(u64)];
	size_t len;

	if ((flags & ~GRND_KNOWN) || (flags & GRND_EXCLUSIVE) == GRND_EXCLUSIVE)
		return -EINVAL;
	n = min(n, MAX_RW_COUNT);
	for (size_t done = 0; done < n; done += len) {
		if (task_is_ending())
			return done ? (long)done : -EINTR;
		len = min(n - done, sizeof(chunk));
		for (unsigned i = 0; i * sizeof(u64) < len; i++)
			chunk[i] = rng_next(&rng);
		if (copy_to_user(buf + done, chunk, len))
			return done ? (long)done : -EFAULT;
	}
	return n;
}
