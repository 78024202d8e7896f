/*
 * Wait queues and mmap_lock's read-write semaphore: what tasks sleep on.
 */
#pragma once

#include "kernel/lib/list.h"
#include "kernel/sched/sched.h"
#include "kernel/sync/spinlock.h"

struct wait_queue {
	struct spinlock lock;
	struct list_head waiters; /* lock */
};

struct waiter {
	struct task *task;
	struct list_head node;
};

/* Nobody else knows @wq yet. */
void wait_queue_init(struct wait_queue *wq);
/*
 * The caller waits in @wq, at its end, and is in @state: a wake-up from now on ends the schedule()
 * that follows its look at the condition. Takes the lock of @wq. @w stays until wait_dequeue().
 */
void wait_enqueue(struct wait_queue *wq, struct waiter *w, enum task_state state);
/* The caller runs again, and waits in @wq no more. */
void wait_dequeue(struct wait_queue *wq, struct waiter *w);
/* Wake every waiter; the condition they wait for must be visible already. */
void wake_up_all(struct wait_queue *wq);

/*
 * An interruptible sleeper counts as frozen: once woken it goes on only after the thaw. freezer.c.
 */
void freezer_checkpoint(void);

/*
 * Sleep until @cond holds. With TASK_INTERRUPTIBLE also returns when the task has work pending; the
 * caller looks at current->work.
 */
#define wait_event_state(wq, cond, st)                                                             \
	do {                                                                                       \
		struct waiter __w;                                                                 \
                                                                                                   \
		for (;;) {                                                                         \
			wait_enqueue(wq, &__w, st);                                                \
			if ((cond) || ((st) == TASK_INTERRUPTIBLE &&                               \
				       (READ_ONCE(current->work) & TASK_WORK_EXIT)))               \
				break;                                                             \
			schedule();                                                                \
			wait_dequeue(wq, &__w);                                                    \
			if ((st) == TASK_INTERRUPTIBLE)                                            \
				freezer_checkpoint();                                              \
		}                                                                                  \
		wait_dequeue(wq, &__w);                                                            \
	} while (0)
#define wait_event(wq, cond) wait_event_state(wq, cond, TASK_BLOCKED)

/*
 * A fair read-write semaphore: readers share, writers exclude, nobody overtakes a waiter. The state
 * word alone decides on the uncontended paths.
 *   bit 0  a writer holds it     bit 1  somebody waits     bits 8..  readers
 */
struct __capability("rwsem") rwsem
{
	u64 state;
	struct wait_queue wq; /* of struct rwsem_waiter, in order of arrival */
};

#define RWSEM_WRITER 1UL
#define RWSEM_WAITERS 2UL
#define RWSEM_READER 0x100UL

/* Nobody else knows @s yet, and nobody holds it. */
void rwsem_init(struct rwsem *s);
/*
 * The contended path of down_read and down_write: sleeps until @share is granted, which is what a
 * holder adds to the state: RWSEM_READER or RWSEM_WRITER. Preemption on.
 */
void rwsem_wait(struct rwsem *s, u64 share);
/*
 * After a release that left RWSEM_WAITERS: grant @s to those who wait and can have it, in their
 * order.
 */
void rwsem_wake(struct rwsem *s);

/* Not analysed: this is the lock's own code. */
static inline void down_read(struct rwsem *s) __acquires_shared(s) __no_thread_safety
{
	u64 old = READ_ONCE(s->state);

	lockdep_push(s, LOCK_MMAP, 0);
	if (likely(!(old & (RWSEM_WRITER | RWSEM_WAITERS))) &&
	    likely(try_cmpxchg(&s->state, &old, old + RWSEM_READER)))
		return;
	rwsem_wait(s, RWSEM_READER);
}

/* What both ways of giving it back do. */
static inline void rwsem_give_back(struct rwsem *s, u64 share)
{
	u64 now;

	lockdep_pop(s, LOCK_MMAP);
	now = __atomic_sub_fetch(&s->state, share, __ATOMIC_SEQ_CST);
	if (unlikely(now & RWSEM_WAITERS))
		rwsem_wake(s);
}

/* Not analysed: this is the lock's own code. */
static inline void up_read(struct rwsem *s) __releases_shared(s) __no_thread_safety
{
	rwsem_give_back(s, RWSEM_READER);
}

/*
 * @subclass 1: of an mm that nobody else knows, inside the lock of another. Not analysed: this is
 * the lock's own code.
 */
static inline void down_write_nested(struct rwsem *s, unsigned subclass) __acquires(s)
	__no_thread_safety
{
	u64 old = 0;

	lockdep_push(s, LOCK_MMAP, subclass);
	if (unlikely(!try_cmpxchg(&s->state, &old, RWSEM_WRITER)))
		rwsem_wait(s, RWSEM_WRITER);
}

static inline void down_write(struct rwsem *s) __acquires(s)
{
	down_write_nested(s, 0);
}

/* Not analysed: this is the lock's own code. */
static inline void up_write(struct rwsem *s) __releases(s) __no_thread_safety
{
	rwsem_give_back(s, RWSEM_WRITER);
}

/* A writer becomes a reader; nobody gets in between. Not analysed: this is the lock's own code. */
static inline void downgrade_write(struct rwsem *s) __releases(s) __acquires_shared(s)
	__no_thread_safety
{
	u64 now = __atomic_add_fetch(&s->state, RWSEM_READER - RWSEM_WRITER, __ATOMIC_SEQ_CST);

	if (unlikely(now & RWSEM_WAITERS))
		rwsem_wake(s);
}

static inline bool rwsem_has_waiters(const struct rwsem *s)
{
	return READ_ONCE(s->state) & RWSEM_WAITERS;
}

/* True if a writer holds it: the caller, if the caller holds it at all. */
static inline bool rwsem_is_write_locked(const struct rwsem *s)
{
	return READ_ONCE(s->state) & RWSEM_WRITER;
}

static inline bool rwsem_is_locked(const struct rwsem *s)
{
	return READ_ONCE(s->state) & ~RWSEM_WAITERS;
}
