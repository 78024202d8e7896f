/*
 * The freezer; see freezer.h. One user at a time (a suite's auditor).
 *
 * A task counts as frozen if it is parked, or if it sleeps interruptibly: when it is woken it still
 * has its work flag, and parks before it touches user memory (freezer_checkpoint) or returns to it.
 * A task born while freezing is asked in the next round over all tasks. A task that ends has its
 * process until its mm is gone.
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

static void ask_and_check(struct task *t, void *arg)
{
	struct census *c = arg;
	enum task_state state = READ_ONCE(t->state);

	if (!READ_ONCE(t->process) || state == TASK_DEAD)
		return;
	if (!(READ_ONCE(t->work) & TASK_WORK_FREEZE)) {
		__atomic_or_fetch(&t->work, TASK_WORK_FREEZE, __ATOMIC_SEQ_CST);
		kick_task(t);
	}
	/* on_cpu: it has set its state and may still find that it need not sleep. The state again,
	 * last: it may have run and gone to another sleep between these reads. */
	if (state != TASK_INTERRUPTIBLE || READ_ONCE(t->on_rq) || READ_ONCE(t->on_cpu) ||
	    READ_ONCE(t->state) != TASK_INTERRUPTIBLE)
		c->all_at_rest = false;
}

void freezer_freeze(void)
{
	struct census c;

	WRITE_ONCE(freezing, true);
	do {
		c.all_at_rest = true;
		for_each_task(ask_and_check, &c);
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
