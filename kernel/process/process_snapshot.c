/*
 * Processes as kernel/process/oom.c sees them: some at a time, each with a reference to its address
 * space.
 *
 * Lock: process_lock, for a moment.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/process/process_internal.h"
#include "kernel/sched/task.h"
#include "mm/mm.h"

/* The first threads of those processes that have the least pids above @pid, in order of pid. */
struct search {
	int pid;
	unsigned n, max;
	struct task **found;
};

static void insert_task(struct search *s, struct task *t)
{
	unsigned i = s->n < s->max ? s->n++ : s->n - 1;

	for (; i && s->found[i - 1]->process->pid > t->process->pid; i--)
		s->found[i] = s->found[i - 1];
	s->found[i] = t;
}

/* A task that still has its mm has not left its process: that needs process_lock. */
static void look_at(struct task *t, void *arg)
{
	struct search *s = arg;
	const struct process *p = READ_ONCE(t->mm) ? t->process : NULL;

	if (!p || p->pid <= s->pid || t != list_first_entry(&p->threads, struct task, thread_node))
		return;
	if (s->n < s->max || p->pid < s->found[s->n - 1]->process->pid)
		insert_task(s, t);
}

static unsigned count_threads(const struct process *p) __must_hold(process_lock)
{
	const struct task *t;
	unsigned n = 0;

	list_for_each_entry(t, &p->threads, thread_node)
		n++;
	return n;
}

static void describe(const struct task *t, struct process_info *info) __must_hold(process_lock)
{
	const struct process *p = t->process;

	*info = (struct process_info){
		.pid = p->pid,
		.first = !p->ppid && !p->orphan,
		.exiting = p->exiting,
		.threads = count_threads(p),
		.mm = mm_get_in_use(&t->mm),
	};
	strlcpy(info->name, t->name, sizeof(info->name));
}

unsigned process_snapshot(int pid, struct process_info *info, unsigned max)
{
	struct task *found[PROCESS_SNAPSHOT_MAX];
	struct search s = {
		.pid = pid, .max = min(max, (unsigned)PROCESS_SNAPSHOT_MAX), .found = found};

	spin_lock(&process_lock);
	for_each_task(look_at, &s);
	for (unsigned i = 0; i < s.n; i++)
		describe(found[i], &info[i]);
	spin_unlock(&process_lock);
	return s.n;
}

void process_kill(int pid, int signal)
{
	struct task *t;
	struct search s = {.pid = pid - 1, .max = 1, .found = &t};

	spin_lock(&process_lock);
	for_each_task(look_at, &s);
	if (s.n && t->process->pid == pid)
		begin_exit(t->process, STATUS_SIGNALLED(signal));
	spin_unlock(&process_lock);
}
