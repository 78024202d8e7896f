/*
 * The freezer; see freezer.h. One user at a time (a suite's auditor).
 *
 * A task counts as frozen if it is parked, or if it sleeps interruptibly: when it is woken it still
 * has its work flag, and parks before it touches user memory, gives back what an audit counts
 * (freezer_checkpoint) or returns to user mode.
 * A task born while freezing is asked in the next round over all tasks. A task that ends is waited
 * for until it has given back its stack, too.
 *
 * A kernel thread is not stopped; it counts as at rest while it sleeps. Once all tasks are, nobody
 * is left to wake it. One round over all of them, under the lock that keeps them in the list, must
 * find that; and no CPU may have switched tasks meanwhile, or who was awake when the round began
 * may have woken one that was found asleep, and gone to sleep ahead of its own turn.
 */
#include "kernel/sched/freezer.h"

#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/wait.h"
#include "kernel/time/clock.h"

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

/* What a task does on its way to rest is short; a busy host may stretch it. */
#define PATIENCE (120 * NS_PER_S)

/* One round over all tasks: is each at rest, and if not, who is one that is not? */
struct census {
	bool all_at_rest;
	char name[TASK_NAME_LEN];
	u32 tid;
};

static void note_awake(struct census *c, const struct task *t)
{
	c->all_at_rest = false;
	c->tid = t->tid;
	memcpy(c->name, t->name, sizeof(c->name));
}

/*
 * on_cpu: it has set its state and may still find that it need not sleep. The state again, last: it
 * may have run and gone to another sleep between these reads.
 */
static bool is_asleep(const struct task *t, enum task_state how)
{
	return READ_ONCE(t->state) == how && !READ_ONCE(t->on_rq) && !READ_ONCE(t->on_cpu) &&
	       READ_ONCE(t->state) == how;
}

static bool is_asked(const struct task *t)
{
	return READ_ONCE(t->work) & TASK_WORK_FREEZE;
}

static void ask(struct task *t)
{
	if (is_asked(t))
		return;
	__atomic_or_fetch(&t->work, TASK_WORK_FREEZE, __ATOMIC_SEQ_CST);
	kick_task(t);
}

/*
 * A flag from an earlier freeze may go between the question and the sleep: a task that found that
 * freeze over is about to clear it. Who sleeps without it would go on when woken.
 */
static void ask_and_check(struct task *t, void *arg)
{
	struct census *c = arg;
	bool ending = READ_ONCE(t->ending), user = READ_ONCE(t->process);

	if (t == current || t->is_idle)
		return;
	if (user && !ending)
		ask(t);
	if (ending || !is_asleep(t, user ? TASK_INTERRUPTIBLE : TASK_BLOCKED) ||
	    (user && !is_asked(t)))
		note_awake(c, t);
}

static bool all_at_rest(struct census *c)
{
	u64 switches = counter_sum(CNT_CONTEXT_SWITCHES);
	unsigned ending;

	*c = (struct census){.all_at_rest = true, .name = "(ended)"};
	ending = for_each_task(ask_and_check, c);
	return !ending && c->all_at_rest && counter_sum(CNT_CONTEXT_SWITCHES) == switches;
}

void freezer_freeze(void)
{
	u64 since = clock_ns();
	struct census c;

	WRITE_ONCE(freezing, true);
	while (!all_at_rest(&c)) {
		if (clock_ns() - since > PATIENCE)
			panic("freezer: after %lu s task %s (tid %u) is neither parked nor asleep",
			      PATIENCE / NS_PER_S, c.name, c.tid);
		sched_yield();
		cpu_relax(); /* where QEMU has one thread for all CPUs, the others */
	}
}

void freezer_thaw(void)
{
	WRITE_ONCE(freezing, false);
	smp_mb();
	wake_up_all(&thawed);
}
