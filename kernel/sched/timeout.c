/*
 * Time-outs and the timer of each CPU; see timeout.h.
 *
 * Invariant, wherever a CPU has interrupts on: its timer comes no later than its first deadline and
 * its next tick (`armed`), or its interrupt is pending. So nothing has to be done for a CPU that
 * goes idle. Whoever adds a deadline does so on its own CPU, and arms the timer if it comes later.
 * The timer may come too early: then it is only armed again. Tests may bring it forward with
 * pv_set_timer(), but not put it off.
 *
 * Interrupts stay off for a bounded time: a heap costs O(log n), and an interrupt wakes at most
 * TIMEOUTS_AT_ONCE sleepers; the next one follows at once for the others.
 *
 * Lock: each queue's own guards its heap. Other CPUs take it only to remove a sleeper that was
 * woken elsewhere before its time. Whoever has slept takes it before its node goes out of scope, so
 * a node and its task are there as long as timeouts_run() needs them.
 */
#include "kernel/sched/timeout.h"

#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timeout_heap.h"
#include "kernel/sched/wait.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"

struct timeout_queue {
	struct spinlock lock;
	struct timeout_heap heap; /* lock */
	/* This CPU's alone, with interrupts off. */
	u64 first; /* no deadline is before it */
	u64 tick;  /* when the next tick is due */
	u64 armed; /* when the timer comes; in the past: it has come */
};
static DEFINE_PER_CPU(struct timeout_queue, timeout_queue);

struct sleeper {
	struct timeout_node node;
	struct task *task;
	struct timeout_queue *queue;
};

void timeouts_init_cpu(unsigned cpu)
{
	struct timeout_queue *q = per_cpu_ptr(timeout_queue, cpu);

	spin_lock_init(&q->lock, LOCK_TIMEOUT);
	q->first = q->tick = FOREVER;
}

/* The timer comes at the first deadline or the tick, whichever is first; if not, set it. */
static void arm(struct timeout_queue *q, u64 now)
{
	u64 when = min(q->first, q->tick);

	if (when == FOREVER || (q->armed > now && q->armed <= when))
		return;
	q->armed = max(when, now + 1);
	pv_set_timer(q->armed - now);
}

static void add_sleeper(struct sleeper *s)
{
	unsigned long flags = local_irq_save();
	struct timeout_queue *q = this_cpu_ptr(timeout_queue);

	s->queue = q;
	spin_lock(&q->lock);
	timeout_heap_add(&q->heap, &s->node);
	spin_unlock(&q->lock);
	if (s->node.deadline < q->first) {
		q->first = s->node.deadline;
		arm(q, clock_ns());
	}
	local_irq_restore(flags);
}

static void remove_sleeper(struct sleeper *s)
{
	unsigned long flags = spin_lock_irqsave(&s->queue->lock);

	if (timeout_node_is_queued(&s->node))
		timeout_heap_remove(&s->queue->heap, &s->node);
	spin_unlock_irqrestore(&s->queue->lock, flags);
}

void schedule_until(u64 deadline)
{
	struct sleeper s = {.node.deadline = deadline, .task = current};

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
		note_wait("the time, in ns,", deadline);
		set_current_state(TASK_INTERRUPTIBLE);
		if (!(READ_ONCE(current->work) & TASK_WORK_EXIT))
			schedule_until(deadline);
		set_current_state(TASK_RUNNING);
		note_wait(NULL, 0);
		if (READ_ONCE(current->work) & TASK_WORK_EXIT)
			return -EINTR;
		freezer_checkpoint();
	}
	return 0;
}

/* Wake the first sleeper of @q if its time has come by @now. */
static bool wake_first(struct timeout_queue *q, u64 now) __must_hold(q->lock)
{
	struct timeout_node *first = timeout_heap_first(&q->heap);

	if (!first || first->deadline > now)
		return false;
	timeout_heap_remove(&q->heap, first);
	wake_up_task(container_of(first, struct sleeper, node)->task);
	return true;
}

static void wake_sleepers(struct timeout_queue *q, u64 now)
{
	const struct timeout_node *first;
	unsigned woken = 0;

	spin_lock(&q->lock);
	while (woken < TIMEOUTS_AT_ONCE && wake_first(q, now))
		woken++;
	first = timeout_heap_first(&q->heap);
	q->first = first ? first->deadline : FOREVER;
	spin_unlock(&q->lock);
}

bool timeouts_run(u64 now)
{
	struct timeout_queue *q = this_cpu_ptr(timeout_queue);

	q->armed = 0;
	if (q->first <= now)
		wake_sleepers(q, now);
	if (q->tick > now)
		return false;
	q->tick = FOREVER;
	return true;
}

void timer_rearm(u64 now)
{
	arm(this_cpu_ptr(timeout_queue), now);
}

void timer_set_tick(u64 when, u64 now)
{
	struct timeout_queue *q = this_cpu_ptr(timeout_queue);

	q->tick = when;
	arm(q, now);
}

void timer_stop_tick(void)
{
	this_cpu_ptr(timeout_queue)->tick = FOREVER;
}
