/*
 * Ticket spinlocks.
 *
 * A waiter spins a while, unless the owner's CPU is preempted by the hypervisor, then waits through
 * the pv table (halted until kicked natively, blocked on an event channel on Xen), so that a lock
 * holder without a CPU does not cost its waiters theirs.
 *
 * spin_lock() turns preemption off. The lock of a PTE page is taken with spin_lock_preemptible():
 * its holder may be preempted and migrate inside a lazy section, which is where the races live that
 * Pteron is about. Such a waiter sleeps if its CPU has other work, and is woken when its turn
 * comes, before whoever else waits for that CPU: a lock that belongs to a task which waits for a
 * CPU makes everybody wait.
 *
 * Debug builds keep the owner and enforce lock_order.h; see kernel/sync/lockdep.h.
 */
#pragma once

#include "kernel/arch/current.h"
#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/trace.h"
#include "kernel/sync/lock_order.h"
#include "kernel/sync/thread_safety.h"

struct __capability("spinlock") spinlock
{
	union {
		u32 tickets;
		struct {
			u16 head; /* the ticket that holds the lock */
			u16 tail; /* the next ticket to be drawn */
		};
	};
	u16 sleepers;	    /* waiters that need a kick */
	u8 class;	    /* enum lock_class */
	struct task *owner; /* who holds it, while it is held */
};

#define SPINLOCK_INIT(lock_class)                                                                  \
	{                                                                                          \
		.class = (lock_class)                                                              \
	}
#define DEFINE_SPINLOCK(name, lock_class) struct spinlock name = SPINLOCK_INIT(lock_class)

#define TICKET_ONE 0x10000u
/*
 * Looks at any kind of lock before its waiter, or its CPU, sleeps: most holds are shorter. In debug
 * builds a variable, which tests that step through a wait make small.
 */
#define SPINS_BEFORE_SLEEP 64
#ifdef CONFIG_DEBUG
extern unsigned spins_before_sleep;
#else
#define spins_before_sleep SPINS_BEFORE_SLEEP
#endif

/* Around each wait for @lock, of whatever kind and of @class, for the trace. */
static inline void trace_wait(const void *lock, enum lock_class class)
{
	trace(TRACE_WAIT, 0, (u64)lock, (u64)lock_class_name(class));
}

static inline void trace_wait_end(const void *lock)
{
	trace(TRACE_WAIT_END, 0, (u64)lock, 0);
}

/* Count an acquisition of a lock of @class, of whatever kind, that has to wait. */
void count_contended(enum lock_class class);
/* How many there were; exact only while nobody takes such locks. */
u64 contended_acquisitions(enum lock_class class);

/* How a lock is taken. */
enum lock_way {
	LOCK_SPINNING,
	LOCK_PREEMPTIBLY, /* the caller may sleep, if it is not inside of something */
};
/* The contended path. */
void spin_wait(struct spinlock *l, u16 ticket, enum lock_way way);
/*
 * After a release that found sleepers: wake whoever has the ticket that is served now, be it a CPU
 * or a task.
 */
void spin_kick_next(struct spinlock *l);

#ifdef CONFIG_DEBUG
/*
 * Before @l is taken: panics if this task holds it, or a lock of its order or one behind
 * (lock_order.h).
 */
void lockdep_acquire(struct spinlock *l, unsigned subclass);
/* Before @l is given back: panics unless this task holds it. */
void lockdep_release(struct spinlock *l);
#else
static inline void lockdep_acquire(struct spinlock *l __unused, unsigned subclass __unused) {}
static inline void lockdep_release(struct spinlock *l __unused) {}
#endif

static inline void spin_lock_init(struct spinlock *l, enum lock_class class)
{
	*l = (struct spinlock)SPINLOCK_INIT(class);
}

static inline bool spin_is_locked(const struct spinlock *l)
{
	u32 t = READ_ONCE(l->tickets);

	return (u16)t != t >> 16;
}

static __always_inline void ticket_lock(struct spinlock *l, enum lock_way way)
{
	u32 t = __atomic_fetch_add(&l->tickets, TICKET_ONE, __ATOMIC_SEQ_CST);

	if (unlikely((u16)t != t >> 16))
		spin_wait(l, t >> 16, way);
	l->owner = this_cpu_read(current_task);
}

/* A ticket, only if it is served at once. */
static __always_inline bool ticket_trylock(struct spinlock *l)
{
	u32 t = READ_ONCE(l->tickets);

	if ((u16)t != t >> 16 ||
	    !__atomic_compare_exchange_n(&l->tickets, &t, t + TICKET_ONE, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return false;
	l->owner = this_cpu_read(current_task);
	return true;
}

/*
 * The lock may be gone as soon as head has moved: `sleepers` is then read from memory that is still
 * mapped, and the worst that a wrong value does is a spurious kick.
 */
static __always_inline void ticket_unlock(struct spinlock *l)
{
	__atomic_fetch_add(&l->head, 1, __ATOMIC_SEQ_CST);
	if (unlikely(READ_ONCE(l->sleepers)))
		spin_kick_next(l);
}

/*
 * @subclass 1: a second lock of the same class, inside the first, in the order its users state. Not
 * analysed: this is the lock's own code.
 */
static inline void spin_lock_nested(struct spinlock *l, unsigned subclass) __acquires(l)
	__no_thread_safety
{
	preempt_disable();
	lockdep_acquire(l, subclass);
	ticket_lock(l, LOCK_SPINNING);
}

static inline void spin_lock(struct spinlock *l) __acquires(l)
{
	spin_lock_nested(l, 0);
}

/* Take @l if nobody has it; else false. */
static inline bool spin_trylock(struct spinlock *l) __try_acquires(1, l)
{
	preempt_disable();
	if (unlikely(!ticket_trylock(l))) {
		preempt_enable();
		return false;
	}
	lockdep_acquire(l, 0);
	return true;
}

/*
 * Without a turn: whoever looks first when the lock is free has it. For short holds with interrupts
 * off, whose waiters cannot halt: where the host has fewer CPUs than the guest, the one whose turn
 * it would be mostly does not run, and all others would spin until it does. Not analysed: this is
 * the lock's own code.
 */
static inline void spin_lock_unfair(struct spinlock *l) __acquires(l) __no_thread_safety
{
	preempt_disable();
	lockdep_acquire(l, 0);
	if (likely(ticket_trylock(l)))
		return;
	trace_wait(l, l->class);
	do
		cpu_relax();
	while (!ticket_trylock(l));
	trace_wait_end(l);
}

/* Not analysed: this is the lock's own code. */
static inline void spin_unlock(struct spinlock *l) __releases(l) __no_thread_safety
{
	lockdep_release(l);
	ticket_unlock(l);
	preempt_enable();
}

static inline unsigned long spin_lock_irqsave(struct spinlock *l) __acquires(l)
{
	unsigned long flags = local_irq_save();

	spin_lock(l);
	return flags;
}

static inline unsigned long spin_lock_irqsave_unfair(struct spinlock *l) __acquires(l)
{
	unsigned long flags = local_irq_save();

	spin_lock_unfair(l);
	return flags;
}

/* Not analysed: this is the lock's own code. */
static inline void spin_unlock_irqrestore(struct spinlock *l, unsigned long flags) __releases(l)
	__no_thread_safety
{
	lockdep_release(l);
	ticket_unlock(l);
	local_irq_restore(flags);
	preempt_enable();
}

/* Not analysed: this is the lock's own code. */
static inline void spin_lock_preemptible(struct spinlock *l, unsigned subclass) __acquires(l)
	__no_thread_safety
{
	lockdep_acquire(l, subclass);
	ticket_lock(l, LOCK_PREEMPTIBLY);
}

/* Not analysed: this is the lock's own code. */
static inline void spin_unlock_preemptible(struct spinlock *l) __releases(l) __no_thread_safety
{
	lockdep_release(l);
	ticket_unlock(l);
}
