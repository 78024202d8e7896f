/*
 * The system calls that tell CPU time, and the clocks of it. Arguments and errors as in syscall.c.
 *
 * A clock of CPU time is known by a number: 2 and 3 are the caller's process and thread; a negative
 * one names any process, or a thread of the caller's process (Linux include/linux/posix-timers.h).
 *
 * Lock: process_lock, to find a process and to sum up its threads.
 */
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/process/process_internal.h"
#include "kernel/process/syscall.h"
#include "kernel/process/syscall_time.h"
#include "kernel/sched/cputime.h"
#include "kernel/sched/timeout.h"
#include "kernel/time/clock.h"

#define NS_PER_US 1000UL
#define NS_PER_TICK 4000000UL	  /* HZ is 250 */
#define NS_PER_CLOCK_T 10000000UL /* USER_HZ is 100 */
#define RUSAGE_SELF 0
#define RUSAGE_CHILDREN (-1)
#define RUSAGE_THREAD 1
/* How often a sleep on such a clock looks at it. */
#define LONGEST_LOOK 10000000UL
#define SHORTEST_LOOK 200000UL

enum cpu_clock { CPUCLOCK_PROF, CPUCLOCK_VIRT, CPUCLOCK_SCHED, CLOCKFD };

struct clock_id {
	enum cpu_clock what;
	bool thread;
	int id; /* 0: the caller's */
};

static struct clock_id decode(int clock)
{
	if (clock >= 0)
		return (struct clock_id){CPUCLOCK_SCHED, clock == CLOCK_THREAD_CPUTIME_ID, 0};
	return (struct clock_id){clock & 3, clock & 4, ~(clock >> 3)};
}

static u64 part_of(struct cputime_ns t, enum cpu_clock what)
{
	return what == CPUCLOCK_VIRT ? t.user : t.user + t.system;
}

struct cputime_ns process_cputime(struct process *p)
{
	struct cputime sum = p->ended_threads;
	struct task *t;

	list_for_each_entry(t, &p->threads, thread_node)
		cputime_add(&sum, sched_cputime(t));
	return cputime_part(sum, &p->cputime_said);
}

static long read_thread(struct clock_id c, u64 *ns) __must_hold(process_lock)
{
	struct task *t = c.id ? find_user_task(c.id) : current;

	if (!t || t->process != current->process)
		return -EINVAL;
	*ns = part_of(thread_cputime(t), c.what);
	return 0;
}

static long read_process(struct clock_id c, u64 *ns) __must_hold(process_lock)
{
	struct process *p = find_process(c.id);

	if (!p)
		return -EINVAL;
	*ns = part_of(process_cputime(p), c.what);
	return 0;
}

long cpu_clock_read(int clock, u64 *ns)
{
	struct clock_id c = decode(clock);
	long err;

	if (c.what == CLOCKFD)
		return -EINVAL; /* a clock that is an open file */
	spin_lock(&process_lock);
	err = c.thread ? read_thread(c, ns) : read_process(c, ns);
	spin_unlock(&process_lock);
	return err;
}

/* Two of the three kinds count ticks, on Linux those of HZ. */
long cpu_clock_resolution(int clock, u64 *ns)
{
	u64 now;
	long err = cpu_clock_read(clock, &now);

	*ns = decode(clock).what == CPUCLOCK_SCHED ? 1 : NS_PER_TICK;
	return err;
}

/* A process whose CPUs all work for it gets there in @ns / CPUs at the earliest. */
static u64 time_to_look(u64 ns)
{
	ns /= cpumask_weight(&cpu_online_mask);
	return clock_ns() + max(min(ns, LONGEST_LOOK), SHORTEST_LOOK);
}

long cpu_clock_sleep(int clock, u64 time, bool absolute)
{
	struct clock_id c = decode(clock);
	u64 now;
	long err = cpu_clock_read(clock, &now);

	if (err)
		return err;
	if (c.thread && (!c.id || c.id == current->tid))
		return -EINVAL; /* it would not run meanwhile */
	if (!absolute)
		time = time < FOREVER - now ? now + time : FOREVER;
	while (!err && now < time) {
		err = sleep_until(time_to_look(time - now));
		if (!err)
			err = cpu_clock_read(clock, &now);
	}
	return err;
}

/* --- usage --- */

static struct cputime_ns usage_of(int who)
{
	struct cputime_ns t;

	spin_lock(&process_lock);
	if (who == RUSAGE_THREAD)
		t = thread_cputime(current);
	else if (who == RUSAGE_CHILDREN)
		t = current->process->children_time;
	else
		t = process_cputime(current->process);
	spin_unlock(&process_lock);
	return t;
}

long put_rusage(unsigned long addr, struct cputime_ns t)
{
	u64 usage[RUSAGE_SIZE / 8] = {
		t.user / NS_PER_S,
		t.user % NS_PER_S / NS_PER_US, /* ru_utime */
		t.system / NS_PER_S,
		t.system % NS_PER_S / NS_PER_US,
	};

	return copy_to_user(addr, usage, sizeof(usage));
}

SYSCALL_DEFINE2(getrusage, int, who, unsigned long, addr)
{
	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD)
		return -EINVAL;
	return put_rusage(addr, usage_of(who));
}

SYSCALL_DEFINE1(times, unsigned long, addr)
{
	struct cputime_ns self = usage_of(RUSAGE_SELF), children = usage_of(RUSAGE_CHILDREN);
	u64 tms[4] = {self.user / NS_PER_CLOCK_T, self.system / NS_PER_CLOCK_T,
		      children.user / NS_PER_CLOCK_T, children.system / NS_PER_CLOCK_T};

	if (addr && copy_to_user(addr, tms, sizeof(tms)))
		return -EFAULT;
	return clock_ns() / NS_PER_CLOCK_T;
}
