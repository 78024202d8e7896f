/*
 * Finding tasks and processes by number, and the numbers of groups and sessions. There are few, so
 * that a search through all is good enough.
 *
 * Locks: process_lock, then that of the task list.
 */
#include "kernel/lib/errno.h"
#include "kernel/process/process_internal.h"
#include "kernel/process/syscall.h"
#include "kernel/sched/task.h"

struct task_search {
	int tid;
	struct task *found;
};

static void match_task(struct task *t, void *arg)
{
	struct task_search *s = arg;

	if (t->tid == s->tid && t->process)
		s->found = t;
}

struct task *find_user_task(int tid)
{
	struct task_search s = {tid, NULL};

	if (!tid)
		return current;
	for_each_task(match_task, &s);
	return s.found;
}

struct process_call {
	void (*fn)(struct process *p, void *arg);
	void *arg;
};

static void call_for_process_of(struct task *t, void *arg)
{
	struct process_call *c = arg;
	struct process *child;

	if (!t->process)
		return;
	c->fn(t->process, c->arg);
	/* A zombie has no task, but its parent has. */
	list_for_each_entry(child, &t->process->children, sibling)
		if (child->zombie)
			c->fn(child, c->arg);
}

void for_each_process(void (*fn)(struct process *p, void *arg), void *arg)
{
	struct process_call c = {fn, arg};

	for_each_task(call_for_process_of, &c);
}

struct process_search {
	int pid;
	struct process *found;
};

static void match_process(struct process *p, void *arg)
{
	struct process_search *s = arg;

	if (p->pid == s->pid)
		s->found = p;
}

struct process *find_process(int pid)
{
	struct process_search s = {pid, NULL};

	if (!pid)
		return current->process;
	for_each_process(match_process, &s);
	return s.found;
}

/* --- groups and sessions --- */

enum kind_of_id {
	ID_GROUP,
	ID_SESSION,
};

static long id_of(int pid, enum kind_of_id kind)
{
	struct process *p;
	long ret = -ESRCH;

	spin_lock(&process_lock);
	p = find_process(pid);
	if (p)
		ret = kind == ID_SESSION ? p->sid : p->pgid;
	spin_unlock(&process_lock);
	return ret;
}

SYSCALL_DEFINE1(getpgid, int, pid)
{
	return id_of(pid, ID_GROUP);
}

SYSCALL_DEFINE0(getpgrp)
{
	return id_of(0, ID_GROUP);
}

SYSCALL_DEFINE1(getsid, int, pid)
{
	return id_of(pid, ID_SESSION);
}

struct group_search {
	int pgid, sid;
	bool found;
};

static void match_group(struct process *p, void *arg)
{
	struct group_search *s = arg;

	s->found |= p->pgid == s->pgid && p->sid == s->sid;
}

/* setpgid(2), "ERRORS". */
static long join_group(struct process *p, int pgid) __must_hold(process_lock)
{
	struct process *self = current->process;
	struct group_search s = {pgid, self->sid, false};

	if (!p || (p != self && p->parent != self))
		return -ESRCH;
	if (p->sid != self->sid || p->sid == p->pid)
		return -EPERM;
	if (pgid != p->pid) {
		for_each_process(match_group, &s);
		if (!s.found)
			return -EPERM;
	}
	p->pgid = pgid;
	return 0;
}

SYSCALL_DEFINE2(setpgid, int, pid, int, pgid)
{
	struct process *p;
	long ret;

	if (pgid < 0)
		return -EINVAL;
	spin_lock(&process_lock);
	p = find_process(pid);
	ret = join_group(p, pgid || !p ? pgid : p->pid);
	spin_unlock(&process_lock);
	return ret;
}

static void match_leader(struct process *p, void *arg)
{
	struct group_search *s = arg;

	s->found |= p->pgid == s->pgid;
}

/* A leader of a group cannot leave its session. */
SYSCALL_DEFINE0(setsid)
{
	struct process *self = current->process;
	struct group_search s = {self->pid, 0, false};
	long ret = -EPERM;

	spin_lock(&process_lock);
	for_each_process(match_leader, &s);
	if (!s.found) {
		self->sid = self->pgid = self->pid;
		ret = self->pid;
	}
	spin_unlock(&process_lock);
	return ret;
}
