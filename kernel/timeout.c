/*
 * Time-outs; see timeout.h.
 *
 * All sleepers are in one list, the first due first. A busy CPU looks at it in its ticks, so a
 * sleeper may be woken a quantum too late, and while a test has turned ticks off, by idle CPUs
 * only. A CPU that goes idle sets its timer for the first. So nobody is forgotten: whoever comes in
 * front of the list does so on a CPU that has yet to go idle.
 *
 * Lock: timeout_lock, taken in the timer interrupt too.
 */
#include "kernel/timeout.h"

#include "kernel/clock.h"
#include "kernel/errno.h"
#include "kernel/sched.h"
#include "kernel/spinlock.h"
#include "kernel/wait.h"

struct sleeper {
	u64 deadline;
	struct task *task;
	struct list_head node; /* not in the list once it has been woken */
};

static DEFINE_SPINLOCK(timeout_lock, LOCK_TIMEOUT);
static LIST_HEAD(sleepers);
static u64 first_deadline = FOREVER; /* written under timeout_lock */

static void update_first(void) __must_hold(timeout_lock)
{
	u64 first = FOREVER;

	if (!list_empty(&sleepers))
		first = list_first_entry(&sleepers, struct sleeper, node)->deadline;
	WRITE_ONCE(first_deadline, first);
}

static void add_sleeper(struct sleeper *s)
{
	unsigned long flags = spin_lock_irqsave(&timeout_lock);
	struct sleeper *other;

	list_for_each_entry(other, &sleepers, node)
		if (other->deadline > s->deadline)
			break;
	list_add_tail(&s->node, &other->node); /* before it, or before the head: at the end */
	update_first();
	spin_unlock_irqrestore(&timeout_lock, flags);
}

static void remove_sleeper(struct sleeper *s)
{
	unsigned long flags = spin_lock_irqsave(&timeout_lock);

	list_del(&s->node);
	update_first();
	spin_unlock_irqrestore(&timeout_lock, flags);
}

void schedule_until(u64 deadline)
{
	struct sleeper s = {.deadline = deadline, .task = current};

	if (deadline == FOREVER) {
		schedule();
		return;
	}
	add_sleeper(&s);
	schedule();
	remove_sleeper(&s);
}

long sleep_until(u64 deadline)
{
	while (clock_ns() < deadline) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!(READ_ONCE(current->work) & TASK_WORK_EXIT))
			schedule_until(deadline);
		set_current_state(TASK_RUNNING);
		if (READ_ONCE(current->work) & TASK_WORK_EXIT)
			return -EINTR;
		freezer_checkpoint();
	}
	return 0;
}

void timeouts_run(void)
{
	struct sleeper *s, *next;
	unsigned long flags;

	if (READ_ONCE(first_deadline) == FOREVER || READ_ONCE(first_deadline) > clock_ns())
		return;
	flags = spin_lock_irqsave(&timeout_lock);
	list_for_each_entry_safe(s, next, &sleepers, node) {
		if (s->deadline > clock_ns())
			break;
		list_del(&s->node);
		wake_up_task(s->task);
	}
	update_first();
	spin_unlock_irqrestore(&timeout_lock, flags);
}

void timeouts_arm(void)
{
	u64 first = READ_ONCE(first_deadline), now;

	if (first == FOREVER)
		return;
	now = clock_ns();
	pv_set_timer(first > now ? first - now : 1);
}
