/*
 * Resource limits. RLIMIT_STACK and RLIMIT_AS are kept, by fields of the mm. Of most others there
 * is nothing to limit (files, cores, locks, queues, real-time priorities), or root, as whom
 * everything runs, is exempt (MEMLOCK, NPROC). RLIMIT_CPU and RLIMIT_DATA are not kept, so that
 * nobody can set them.
 *
 * Locks: process_lock guards the limits of every process.
 */
#include "kernel/process/rlimit.h"

#include "kernel/debug/unsupported.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/process_internal.h"
#include "kernel/process/syscall.h"
#include "kernel/sched/task.h"
#include "mm/space/mmap.h"

#define FILES_DEFAULT 1024
#define FILES_MAX 4096
#define NR_OPEN (1UL << 20) /* more open files nobody may allow himself, root neither */
#define MEMLOCK_DEFAULT (8UL << 20)
#define MSGQUEUE_DEFAULT 819200

void rlimits_init(struct rlimit limits[NR_RLIMITS])
{
	for (unsigned i = 0; i < NR_RLIMITS; i++)
		limits[i] = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	limits[RLIMIT_STACK].cur = STACK_LIMIT_DEFAULT;
	limits[RLIMIT_CORE].cur = 0;
	limits[RLIMIT_NOFILE] = (struct rlimit){FILES_DEFAULT, FILES_MAX};
	limits[RLIMIT_MEMLOCK] = (struct rlimit){MEMLOCK_DEFAULT, MEMLOCK_DEFAULT};
	limits[RLIMIT_MSGQUEUE] = (struct rlimit){MSGQUEUE_DEFAULT, MSGQUEUE_DEFAULT};
	limits[RLIMIT_NICE] = limits[RLIMIT_RTPRIO] = (struct rlimit){0, 0};
}

static bool same_limit(const struct rlimit *a, const struct rlimit *b)
{
	return a->cur == b->cur && a->max == b->max;
}

/* Whether @new may take the place of @old. */
static long check_limit(unsigned resource, const struct rlimit *old, const struct rlimit *new)
{
	if (new->cur > new->max)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && new->max > NR_OPEN)
		return -EPERM;
	if ((resource == RLIMIT_CPU || resource == RLIMIT_DATA) && !same_limit(old, new))
		return unsupported(EPERM, "setrlimit: %s would not be kept",
				   resource == RLIMIT_CPU ? "RLIMIT_CPU" : "RLIMIT_DATA");
	return 0;
}

static void set_limit(struct process *p, unsigned resource, const struct rlimit *new)
	__must_hold(process_lock)
{
	p->limits[resource] = *new;
	if (resource == RLIMIT_STACK)
		WRITE_ONCE(current->mm->stack_limit, new->cur);
	else if (resource == RLIMIT_AS)
		WRITE_ONCE(current->mm->address_limit, new->cur);
}

/* @new: NULL, or the limit to set. @old: what it was. */
static long exchange_limit(int pid, unsigned resource, const struct rlimit *new, struct rlimit *old)
{
	struct process *p;
	struct task *t;
	long ret = 0;

	spin_lock(&process_lock);
	t = find_user_task(pid);
	p = t ? t->process : NULL;
	if (!p)
		ret = -ESRCH;
	else if (resource >= NR_RLIMITS)
		ret = -EINVAL;
	else
		*old = p->limits[resource];
	if (!ret && new)
		ret = check_limit(resource, old, new);
	if (!ret && new &&p == current->process)
		set_limit(p, resource, new);
	else if (!ret && new && !same_limit(old, new))
		ret = -EPERM;
	spin_unlock(&process_lock);
	return ret;
}

static long do_prlimit(int pid, unsigned resource, unsigned long new_addr, unsigned long old_addr)
{
	struct rlimit new, old;
	long ret;

	if (new_addr && copy_from_user(&new, new_addr, sizeof(new)))
		return -EFAULT;
	ret = exchange_limit(pid, resource, new_addr ? &new : NULL, &old);
	if (ret == -EPERM && pid)
		unsupported(EPERM, "prlimit: a limit of another process");
	if (!ret && old_addr)
		ret = copy_to_user(old_addr, &old, sizeof(old));
	return ret;
}

SYSCALL_DEFINE4(prlimit64, int, pid, unsigned int, resource, unsigned long, new, unsigned long, old)
{
	return do_prlimit(pid, resource, new, old);
}

SYSCALL_DEFINE2(getrlimit, unsigned int, resource, unsigned long, limit)
{
	struct rlimit old;
	long ret = exchange_limit(0, resource, NULL, &old);

	return ret ? ret : copy_to_user(limit, &old, sizeof(old));
}

SYSCALL_DEFINE2(setrlimit, unsigned int, resource, unsigned long, limit)
{
	struct rlimit new, old;

	if (copy_from_user(&new, limit, sizeof(new)))
		return -EFAULT;
	return exchange_limit(0, resource, &new, &old);
}
