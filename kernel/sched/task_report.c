/*
 * The report of tasks that do not run; see task_report.h. It reads without locks what the CPUs left
 * when they were stopped: lists may be in the middle of a change, so each walk has a bound.
 */
#include "kernel/sched/task_report.h"

#include "kernel/debug/backtrace.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/sched/task.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"

#define MAX_REPORTED 64
/* What switch_stacks() left on the stack: r15 r14 r13 r12 rbx rbp and the return address. */
enum { SAVED_BP = 5, SAVED_IP = 6 };

#ifdef CONFIG_DEBUG

void note_wait(const char *what, unsigned long object)
{
	current->wait = (struct task_wait){.what = what, .object = object, .since = clock_ns()};
}

void note_wait_for_lock(const struct spinlock *lock)
{
	note_wait("lock", (unsigned long)lock);
	current->wait.lock = lock;
}

static void print_wait(const struct task_wait *w)
{
	const struct task *owner = w->lock ? READ_ONCE(w->lock->owner) : NULL;
	u64 ms = (clock_ns() - w->since) / 1000000;

	if (!w->what)
		return;
	printk("#   waits for %s %#lx for %lu.%03lu s\n", w->what, w->object, ms / 1000, ms % 1000);
	if (w->lock)
		printk("#   lock %#lx is held by task %d %s\n", w->object, owner ? owner->tid : 0,
		       owner ? owner->name : "nobody");
}

static void print_noted_wait(const struct task *t)
{
	print_wait(&t->wait);
}

#else

static void print_noted_wait(const struct task *t __unused) {}

#endif

static const char *state_name(const struct task *t)
{
	switch (t->state) {
	case TASK_RUNNING:
		return "runnable";
	case TASK_BLOCKED:
		return "blocked";
	case TASK_INTERRUPTIBLE:
		return "blocked, interruptible";
	default:
		return "dead";
	}
}

static bool print_task(struct task *t)
{
	const unsigned long *sp = (const unsigned long *)t->sp;

	if (t->on_cpu || t->is_idle || t->state == TASK_DEAD)
		return false;
	printk("# task %d %s: %s, cpu %u\n", t->tid, t->name, state_name(t), t->cpu);
	if (t->state == TASK_RUNNING)
		return true;
	print_noted_wait(t);
	backtrace_from(sp[SAVED_IP], sp[SAVED_BP]);
	return true;
}

static unsigned reported;

static bool report_one(struct task *t)
{
	reported += print_task(t);
	return reported < MAX_REPORTED;
}

static void report_tasks(const struct panic_context *c)
{
	if (!c->hang)
		return;
	if (!for_each_task_unlocked(report_one))
		printk("# and perhaps more tasks: these were the first %u\n", MAX_REPORTED);
}
PANIC_REPORT(60, report_tasks);
