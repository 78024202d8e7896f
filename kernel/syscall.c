/*
 * The system-call table. Each handler takes the six arguments of Linux's convention (psABI A.2.1)
 * and returns a value or a negative error number. Anything that is not here is ENOSYS, named once.
 */
#include "kernel/syscall.h"

#include "kernel/counters.h"
#include "kernel/errno.h"
#include "kernel/exec.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/rng.h"
#include "kernel/signal.h"
#include "kernel/string.h"
#include "kernel/trace.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "mm/early.h"
#include "mm/mmap.h"
#include "mm/page.h"

#define NR_SYSCALLS 512
#define WRITE_CHUNK 256
#define WRITE_MAX (1UL << 20)
#define IOV_MAX 1024
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define RANDOM_MAX (1UL << 20)
#define RANDOM_STREAMS (1UL << 32) /* beyond those of tasks and CPUs */
#define RLIMIT_STACK 3
#define NR_RLIMITS 16
#define RLIM_INFINITY (~0UL)

static struct mmap_frames frames_device;

void frames_device_init(void)
{
	u64 *p = early_alloc(FRAMES_COUNT * PAGE_SIZE, PAGE_SIZE);

	frames_device = (struct mmap_frames){virt_to_pfn(p).v, FRAMES_COUNT};
	/* Each frame tells its number, so that a program can see that it got the right ones. */
	for (unsigned i = 0; i < FRAMES_COUNT; i++)
		p[i * (PAGE_SIZE / 8)] = i;
}

bool frames_device_owns(u64 pfn)
{
	return pfn - frames_device.first_pfn < frames_device.count;
}

static long write_bytes(int fd, unsigned long buf, size_t n)
{
	char chunk[WRITE_CHUNK];
	size_t done = 0;

	if (fd != 1 && fd != 2)
		return -EBADF;
	n = min(n, WRITE_MAX);
	while (done < n) {
		size_t len = min(n - done, sizeof(chunk));

		if (copy_from_user(chunk, buf + done, len))
			return done ? (long)done : -EFAULT;
		console_write(chunk, len);
		done += len;
	}
	return done;
}

static long sys_write(struct pt_regs *r)
{
	return write_bytes(r->di, r->si, r->dx);
}

static long sys_writev(struct pt_regs *r)
{
	long total = 0;

	if (r->dx > IOV_MAX)
		return -EINVAL;
	for (unsigned long i = 0; i < r->dx; i++) {
		unsigned long iov[2];
		long n;

		if (copy_from_user(iov, r->si + i * sizeof(iov), sizeof(iov)))
			return total ? total : -EFAULT;
		n = write_bytes(r->di, iov[0], iov[1]);
		if (n < 0)
			return total ? total : n;
		total += n;
	}
	return total;
}

/* Nobody types: standard input is at its end. */
static long sys_read(struct pt_regs *r)
{
	return r->di ? -EBADF : 0;
}

/* What is open is no terminal that could be asked for its size: stdio then fills whole buffers. */
static long sys_ioctl(struct pt_regs *r)
{
	return r->di > FRAMES_FD ? -EBADF : -ENOTTY;
}

static long sys_mmap(struct pt_regs *r)
{
	const struct mmap_frames *frames = NULL;

	if (r->r9 & ~PAGE_MASK)
		return -EINVAL;
	if (!(r->r10 & MAP_ANONYMOUS)) {
		if ((int)r->r8 != FRAMES_FD)
			return -EBADF;
		frames = &frames_device;
	}
	return do_mmap(r->di, r->si, r->dx, r->r10, frames, r->r9 >> PAGE_SHIFT);
}

static long sys_mprotect(struct pt_regs *r)
{
	return do_mprotect(r->di, r->si, r->dx);
}

static long sys_munmap(struct pt_regs *r)
{
	return do_munmap(r->di, r->si);
}

static long sys_brk(struct pt_regs *r)
{
	return do_brk(r->di);
}

static long sys_mremap(struct pt_regs *r)
{
	return do_mremap(r->di, r->si, r->dx, r->r10, r->r8);
}

static long sys_madvise(struct pt_regs *r)
{
	return do_madvise(r->di, r->si, r->dx);
}

static long sys_sched_yield(struct pt_regs *r __unused)
{
	sched_yield();
	return 0;
}

static long sys_getpid(struct pt_regs *r __unused)
{
	return current->process->pid;
}

static long sys_gettid(struct pt_regs *r __unused)
{
	return current->tid;
}

static long sys_getppid(struct pt_regs *r __unused)
{
	return READ_ONCE(current->process->ppid);
}

/* There is one user and one group, as the auxiliary vector says too. */
static long sys_getuid(struct pt_regs *r __unused)
{
	return 0;
}

static long sys_fork(struct pt_regs *r)
{
	return do_clone(r, &(struct clone_args){0});
}

static long sys_clone(struct pt_regs *r)
{
	return do_clone(r, &(struct clone_args){
				   .flags = r->di,
				   .stack = r->si,
				   .parent_tid = r->dx,
				   .child_tid = r->r10,
				   .tls = r->r8,
			   });
}

static long sys_exit(struct pt_regs *r)
{
	do_exit_thread(r->di);
}

static long sys_exit_group(struct pt_regs *r)
{
	do_exit_group(STATUS_EXITED(r->di));
}

static long sys_wait4(struct pt_regs *r)
{
	return do_wait4(r->di, r->si, r->dx, r->r10);
}

static long sys_sched_setaffinity(struct pt_regs *r)
{
	return do_sched_setaffinity(r->di, r->si, r->dx);
}

static long sys_sched_getaffinity(struct pt_regs *r)
{
	return do_sched_getaffinity(r->di, r->si, r->dx);
}

/* Saving and loading use swapgs, between which no interrupt may come. */
static unsigned long exchange_fs_base(bool set, unsigned long base)
{
	unsigned long flags = local_irq_save(), old;

	pv_save_user_bases(current);
	old = current->fs_base;
	if (set) {
		current->fs_base = base;
		pv_load_user_bases(current);
	}
	local_irq_restore(flags);
	return old;
}

static long sys_arch_prctl(struct pt_regs *r)
{
	unsigned long base;

	switch (r->di) {
	case ARCH_GET_FS:
		base = exchange_fs_base(false, 0);
		return copy_to_user(r->si, &base, sizeof(base));
	case ARCH_SET_FS:
		if (r->si >= USER_END)
			return -EPERM;
		exchange_fs_base(true, r->si);
		return 0;
	default:
		return -EINVAL;
	}
}

static long sys_set_tid_address(struct pt_regs *r)
{
	current->clear_child_tid = r->di;
	return current->tid;
}

static long sys_rt_sigaction(struct pt_regs *r)
{
	return do_rt_sigaction(r->di, r->si, r->dx, r->r10);
}

static long sys_rt_sigprocmask(struct pt_regs *r)
{
	return do_rt_sigprocmask(r->di, r->si, r->dx, r->r10);
}

static long sys_tkill(struct pt_regs *r)
{
	return do_tkill(r->di, r->si);
}

static long sys_tgkill(struct pt_regs *r)
{
	return (int)r->di == current->process->pid ? do_tkill(r->si, r->dx) : -ENOSYS;
}

/* Nothing is limited but the stack of the first thread; no limit can be changed. */
static long sys_prlimit64(struct pt_regs *r)
{
	u64 max = r->si == RLIMIT_STACK ? USER_STACK_SIZE : RLIM_INFINITY, limit[2] = {max, max};

	if (r->si >= NR_RLIMITS)
		return -EINVAL;
	if (r->di && (int)r->di != current->process->pid)
		return -ENOSYS;
	if (r->dx)
		return -EPERM;
	return r->r10 ? copy_to_user(r->r10, limit, sizeof(limit)) : 0;
}

/* As all randomness here it comes from the seed, so that runs repeat: good for tests, no secret. */
static long sys_getrandom(struct pt_regs *r)
{
	static u64 stream = RANDOM_STREAMS;
	struct rng rng = rng_stream(boot_seed, __atomic_fetch_add(&stream, 1, __ATOMIC_RELAXED));
	size_t n = min(r->si, RANDOM_MAX), len;

	for (size_t done = 0; done < n; done += len) {
		u64 bytes = rng_next(&rng);

		len = min(n - done, sizeof(bytes));
		if (copy_to_user(r->di + done, &bytes, len))
			return done ? (long)done : -EFAULT;
	}
	return n;
}

/* Not Linux's, which answers ENOSYS: what was done to the page at @addr, printed on the console. */
static long sys_page_history(struct pt_regs *r)
{
	trace_print_page(current->mm, r->di);
	return 0;
}

static long (*const table[NR_SYSCALLS])(struct pt_regs *r) = {
	[0] = sys_read,
	[1] = sys_write,
	[9] = sys_mmap,
	[10] = sys_mprotect,
	[11] = sys_munmap,
	[12] = sys_brk,
	[13] = sys_rt_sigaction,
	[14] = sys_rt_sigprocmask,
	[16] = sys_ioctl,
	[20] = sys_writev,
	[24] = sys_sched_yield,
	[25] = sys_mremap,
	[28] = sys_madvise,
	[35] = sys_nanosleep,
	[39] = sys_getpid,
	[56] = sys_clone,
	[57] = sys_fork,
	[60] = sys_exit,
	[61] = sys_wait4,
	[102] = sys_getuid,
	[104] = sys_getuid, /* getgid */
	[107] = sys_getuid, /* geteuid */
	[108] = sys_getuid, /* getegid */
	[110] = sys_getppid,
	[158] = sys_arch_prctl,
	[186] = sys_gettid,
	[200] = sys_tkill,
	[202] = sys_futex,
	[203] = sys_sched_setaffinity,
	[204] = sys_sched_getaffinity,
	[218] = sys_set_tid_address,
	[228] = sys_clock_gettime,
	[229] = sys_clock_getres,
	[230] = sys_clock_nanosleep,
	[231] = sys_exit_group,
	[234] = sys_tgkill,
	[302] = sys_prlimit64,
	[318] = sys_getrandom,
	[511] = sys_page_history,
};

static long unknown_syscall(unsigned long nr)
{
	static u64 named[NR_SYSCALLS / 64];
	unsigned slot = min(nr, NR_SYSCALLS - 1UL);

	if (!test_bit(named, slot)) {
		set_bit_atomic(named, slot);
		pr_info("%s: system call %lu is not implemented (ENOSYS)\n", current->name, nr);
	}
	return -ENOSYS;
}

void syscall_dispatch(struct pt_regs *regs, unsigned long nr)
{
	count(CNT_SYSCALLS);
	if (likely(nr < NR_SYSCALLS && table[nr]))
		regs->ax = table[nr](regs);
	else
		regs->ax = unknown_syscall(nr);
	prepare_user_mode(regs);
}
