/*
 * The contended path of ticket locks.
 *
 * A CPU that waits in pv_lock_wait() is recorded in its `lock_waiter`; the unlocker kicks the CPU
 * whose record names the lock and the ticket now served. Order that makes a lost kick impossible:
 * the waiter writes its record, increments `sleepers` (a full barrier) and only then looks at head
 * again; the unlocker moves head (a full barrier) and only then looks at `sleepers`.
 */
#include "kernel/spinlock.h"

#include "kernel/counters.h"
#include "kernel/sched.h"

#define SPINS_BEFORE_WAIT 64
#define SPINS_BETWEEN_LOOKS 16 /* at whether the owner runs */

struct lock_waiter {
	struct spinlock *lock;
	u16 ticket;
};
static DEFINE_PER_CPU(struct lock_waiter, lock_waiter);

static DEFINE_PER_CPU(u64, contended[NR_LOCK_CLASSES]);

void count_contended(enum lock_class class)
{
	count(CNT_LOCK_CONTENDED);
	this_cpu_inc64(contended[class]);
}

u64 contended_acquisitions(enum lock_class class)
{
	u64 sum = 0;

	for_each_online_cpu(cpu)
		sum += per_cpu(contended, cpu)[class];
	return sum;
}

struct lock_role ptl_role, ptl_nested_role, lazy_mmu_role;

/*
 * The hypervisor does not run the CPU that the owner is on. A guess: the owner may have changed,
 * and ended, since; what is left of its task can be read all the same.
 */
static bool owner_is_off_cpu(const struct spinlock *l)
{
	const struct task *owner = READ_ONCE(l->owner);
	unsigned cpu = owner ? READ_ONCE(owner->cpu) : MAX_CPUS;

	return cpu < MAX_CPUS && pv_cpu_is_preempted(cpu);
}

static bool spin_a_while(const struct spinlock *l, u16 ticket)
{
	for (unsigned i = 0; i < SPINS_BEFORE_WAIT; i++) {
		if (smp_load_acquire(&l->head) == ticket)
			return true;
		if (i % SPINS_BETWEEN_LOOKS == 0 && owner_is_off_cpu(l))
			return false;
		cpu_relax();
	}
	return false;
}

static void wait_for_kick(struct spinlock *l, u16 ticket)
{
	struct lock_waiter *w, outer;

	preempt_disable();
	w = this_cpu_ptr(lock_waiter);
	outer = *w; /* of a wait that this one interrupted */
	w->ticket = ticket;
	WRITE_ONCE(w->lock, l);
	__atomic_add_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	if (READ_ONCE(l->head) != ticket)
		pv_lock_wait(&l->head, ticket);
	__atomic_sub_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	WRITE_ONCE(w->lock, NULL);
	w->ticket = outer.ticket;
	WRITE_ONCE(w->lock, outer.lock);
	preempt_enable();
}

void spin_wait(struct spinlock *l, u16 ticket, bool may_yield)
{
	count_contended(l->class);
	while (!spin_a_while(l, ticket)) {
		if (may_yield && preempt_count() == 0 && sched_has_runnable())
			sched_yield_in_lock();
		else
			wait_for_kick(l, ticket);
	}
}

void spin_kick_next(struct spinlock *l)
{
	u16 ticket = READ_ONCE(l->head);

	for_each_online_cpu(cpu) {
		struct lock_waiter *w = per_cpu_ptr(lock_waiter, cpu);

		if (READ_ONCE(w->lock) == l && w->ticket == ticket) {
			pv_lock_kick(cpu);
			return;
		}
	}
}
