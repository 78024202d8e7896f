/*
 * The system calls that tell about the machine and the kernel: uname, sysinfo, getrusage, getcpu
 * and what there is of scheduling policies, which is one. No locks.
 */
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/process/process_internal.h"
#include "kernel/process/syscall.h"
#include "kernel/sched/task.h"
#include "kernel/time/clock.h"
#include "mm/frame/page.h"

#define UTS_LEN 65

/*
 * Programs ask for Linux's version, to know which calls there are: answers are those of this one.
 */
struct utsname {
	char sysname[UTS_LEN], nodename[UTS_LEN], release[UTS_LEN], version[UTS_LEN],
		machine[UTS_LEN], domainname[UTS_LEN];
};

SYSCALL_DEFINE1(uname, unsigned long, addr)
{
	static const struct utsname name = {"Linux",	  "pteron", "6.18.0-pteron",
					    "Pteron SMP", "x86_64", "(none)"};

	return copy_to_user(addr, &name, sizeof(name));
}

/* struct sysinfo of Linux's x86-64. */
struct sysinfo {
	s64 uptime;
	u64 loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	u16 procs, pad;
	u64 totalhigh, freehigh;
	u32 mem_unit;
};

SYSCALL_DEFINE1(sysinfo, unsigned long, addr)
{
	s64 pages = 0;
	struct sysinfo info = {
		.uptime = clock_ns() / NS_PER_S,
		.freeram = page_kind_count(PAGE_FREE) * PAGE_SIZE,
		.procs = min(task_count(), 0xffffu),
		.mem_unit = 1,
	};

	for (unsigned kind = 0; kind < NR_PAGE_KINDS; kind++)
		pages += page_kind_count(kind);
	info.totalram = pages * PAGE_SIZE;
	return copy_to_user(addr, &info, sizeof(info));
}

SYSCALL_DEFINE3(getcpu, unsigned long, cpu, unsigned long, node, unsigned long, cache __unused)
{
	if ((cpu && put_user32(cpu, smp_processor_id())) || (node && put_user32(node, 0)))
		return -EFAULT;
	return 0;
}

/* --- scheduling policies: all tasks are SCHED_OTHER --- */

#define SCHED_OTHER 0
#define SCHED_FIFO 1
#define SCHED_RR 2
#define SCHED_BATCH 3
#define SCHED_IDLE 5
#define SCHED_DEADLINE 6
#define SCHED_EXT 7
#define RT_PRIORITY_MAX 99

static long priority_of(int policy, long real_time)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return real_time;
	case SCHED_OTHER:
	case SCHED_BATCH:
	case SCHED_IDLE:
	case SCHED_DEADLINE:
	case SCHED_EXT:
		return 0;
	default:
		return -EINVAL;
	}
}

SYSCALL_DEFINE1(sched_get_priority_max, int, policy)
{
	return priority_of(policy, RT_PRIORITY_MAX);
}

SYSCALL_DEFINE1(sched_get_priority_min, int, policy)
{
	return priority_of(policy, 1);
}

static bool task_exists(int tid)
{
	bool found;

	spin_lock(&process_lock);
	found = find_user_task(tid);
	spin_unlock(&process_lock);
	return found;
}

SYSCALL_DEFINE1(sched_getscheduler, int, tid)
{
	if (tid < 0)
		return -EINVAL;
	return task_exists(tid) ? SCHED_OTHER : -ESRCH;
}

SYSCALL_DEFINE2(sched_getparam, int, tid, unsigned long, param)
{
	if (!param || tid < 0)
		return -EINVAL;
	return task_exists(tid) ? put_user32(param, 0) : -ESRCH;
}
