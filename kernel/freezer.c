/*
 * The freezer; see freezer.h. One user at a time (a suite's auditor).
 *
 * A task counts as frozen if it is parked, or if it sleeps interruptibly: when it is woken it still
 * has its work flag, and parks before it touches user memory (freezer_checkpoint) or returns to it.
 * A task born while freezing is asked in the next round over all tasks. A task that ends is waited
 * for until it has given back its stack, too.
 *
 * A kernel thread is not stopped; it counts as at rest while it sleeps. Once all tasks are, nobody
 * is left to wake it: one round over all of them, under the lock that keeps them in the list, sees
 * either the sleeper awake or its waker running.
 */
#include "kernel/freezer.h"

#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/wait.h"

static bool freezing;
static struct wait_queue thawed = {
	.lock = SPINLOCK_INIT(LOCK_WAIT),
	.waiters = LIST_HEAD_INIT(thawed.waiters),
};

void freezer_park(void)
{
	struct waiter w;

	for (;;) {
		wait_enqueue(&thawed, &w, TASK_INTERRUPTIBLE);
		if (!READ_ONCE(freezing))
			break;
		schedule();
		wait_dequeue(&thawed, &w);
	}
	wait_dequeue(&thawed, &w);
	__atomic_and_fetch(&current->work, ~(u32)TASK_WORK_FREEZE, __ATOMIC_SEQ_CST);
}

void freezer_checkpoint(void)
{
	if (READ_ONCE(current->work) & TASK_WORK_FREEZE)
		freezer_park();
}

struct census {
	bool all_at_rest;
};

/*
 * on_cpu: it has set its state and may still find that it need not sleep. The state again, last: it
 * may have run and gone to another sleep between these reads.
 */
static bool is_asleep(const struct task *t, enum task_state how)
{
	return READ_ONCE(t->state) == how && !READ_ONCE(t->on_rq) && !READ_ONCE(t->on_cpu) &&
	       READ_ONCE(t->state) == how;
}

static void ask(struct task *t)
{
	if (READ_ONCE(t->work) & TASK_WORK_FREEZE)
		return;
	__atomic_or_fetch(&t->work, TASK_WORK_FREEZE, __ATOMIC_SEQ_CST);
	kick_task(t);
}

static void ask_and_check(struct task *t, void *arg)
{
	struct census *c = arg;

	if (t == current || t->is_idle)
		return;
	if (READ_ONCE(t->ending)) {
		c->all_at_rest = false;
	} else if (READ_ONCE(t->process)) {
		ask(t);
		c->all_at_rest &= is_asleep(t, TASK_INTERRUPTIBLE);
	} else {
		c->all_at_rest &= is_asleep(t, TASK_BLOCKED);
	}
}

void freezer_freeze(void)
{
	struct census c;

	WRITE_ONCE(freezing, true);
	do {
		c.all_at_rest = true;
		if (for_each_task(ask_and_check, &c))
			c.all_at_rest = false;
		if (!c.all_at_rest) {
			sched_yield();
			cpu_relax(); /* where QEMU has one thread for all CPUs, the others */
		}
	} while (!c.all_at_rest);
}

void freezer_thaw(void)
{
	WRITE_ONCE(freezing, false);
	smp_mb();
	wake_up_all(&thawed);
}
