/*
 * Wait queues, and the slow paths of the read-write semaphore.
 *
 * rwsem: who finds it taken, and nobody waiting, spins a while. A waiter is *granted* the semaphore
 * by whoever releases it, in order of arrival, so nobody starves, and runs at once. While
 * RWSEM_WAITERS is set every fast path fails, so the state then changes only under wq.lock, except
 * that holders leave or downgrade (which only makes it freer, and calls rwsem_wake).
 */
#include "kernel/sched/wait.h"

#include "kernel/debug/panic.h"

void wait_queue_init(struct wait_queue *wq)
{
	spin_lock_init(&wq->lock, LOCK_WAIT);
	list_init(&wq->waiters);
}

void wait_enqueue(struct wait_queue *wq, struct waiter *w, enum task_state state)
{
	w->task = current;
	note_wait("wait queue", (unsigned long)wq);
	spin_lock(&wq->lock);
	list_add_tail(&w->node, &wq->waiters);
	set_current_state(state);
	spin_unlock(&wq->lock);
}

void wait_dequeue(struct wait_queue *wq, struct waiter *w)
{
	set_current_state(TASK_RUNNING);
	note_wait(NULL, 0);
	spin_lock(&wq->lock);
	list_del(&w->node);
	spin_unlock(&wq->lock);
}

void wake_up_all(struct wait_queue *wq)
{
	struct waiter *w;

	spin_lock(&wq->lock);
	list_for_each_entry(w, &wq->waiters, node)
		wake_up_task(w->task);
	spin_unlock(&wq->lock);
}

struct rwsem_waiter {
	struct waiter w;
	u64 share;
	bool granted;
};

void rwsem_init(struct rwsem *s)
{
	s->state = 0;
	wait_queue_init(&s->wq);
}

static bool is_free_for(u64 state, u64 share)
{
	return !(state & RWSEM_WRITER) && !(share == RWSEM_WRITER && state >= RWSEM_READER);
}

static bool try_grant(struct rwsem *s, u64 share)
{
	u64 old = READ_ONCE(s->state);

	do {
		if (!is_free_for(old, share))
			return false;
	} while (!try_cmpxchg(&s->state, &old, old + share));
	return true;
}

/* Serve the queue from its front as far as the state allows. */
static void grant_waiters(struct rwsem *s) __must_hold(s->wq.lock)
{
	while (!list_empty(&s->wq.waiters)) {
		struct rwsem_waiter *rw =
			list_first_entry(&s->wq.waiters, struct rwsem_waiter, w.node);
		struct task *task = rw->w.task;

		if (!try_grant(s, rw->share))
			return;
		list_del(&rw->w.node);
		smp_store_release(&rw->granted, true); /* rw is gone from here on */
		wake_up_first(task);
	}
	__atomic_and_fetch(&s->state, ~RWSEM_WAITERS, __ATOMIC_SEQ_CST);
}

void rwsem_wake(struct rwsem *s)
{
	spin_lock(&s->wq.lock);
	grant_waiters(s);
	spin_unlock(&s->wq.lock);
}

/* To sleep and be woken costs more than most holders need. */
static bool spin_a_while(struct rwsem *s, u64 share)
{
	for (unsigned i = 0; i < spins_before_sleep; i++) {
		u64 old = READ_ONCE(s->state);

		if (old & RWSEM_WAITERS)
			return false;
		if (is_free_for(old, share) && try_cmpxchg(&s->state, &old, old + share))
			return true;
		cpu_relax();
	}
	return false;
}

static void sleep_until_granted(struct rwsem *s, u64 share)
{
	struct rwsem_waiter rw = {.w.task = current, .share = share};

	spin_lock(&s->wq.lock);
	list_add_tail(&rw.w.node, &s->wq.waiters);
	__atomic_or_fetch(&s->state, RWSEM_WAITERS, __ATOMIC_SEQ_CST);
	grant_waiters(s);
	spin_unlock(&s->wq.lock);
	note_wait(share == RWSEM_WRITER ? "rwsem, to write," : "rwsem, to read,", (unsigned long)s);
	for (;;) {
		set_current_state(TASK_BLOCKED);
		if (smp_load_acquire(&rw.granted))
			break;
		schedule();
	}
	set_current_state(TASK_RUNNING);
	note_wait(NULL, 0);
	/* The granter may still be about to wake us: let it finish before this task can end. */
	spin_lock(&s->wq.lock);
	spin_unlock(&s->wq.lock);
}

void rwsem_wait(struct rwsem *s, u64 share)
{
	ASSERT(preempt_count() == 0);
	count_contended(LOCK_MMAP);
	trace_wait(s, LOCK_MMAP);
	if (!spin_a_while(s, share))
		sleep_until_granted(s, share);
	trace_wait_end(s);
}
