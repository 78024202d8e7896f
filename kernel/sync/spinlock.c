/*
 * The contended path of ticket locks.
 *
 * A CPU that waits in pv_lock_wait() is recorded in its `lock_waiter`, a task that sleeps in a
 * `lock_sleeper`; the unlocker kicks the CPU, or wakes the task, whose record names the lock and
 * the ticket now served. Order that makes a lost kick impossible: the waiter writes its record,
 * increments `sleepers` (a full barrier) and only then looks at head again; the unlocker moves head
 * (a full barrier) and only then looks at `sleepers`.
 *
 * Locks: each bucket's own guards its list of sleepers. Only locks of preemptible classes have such
 * sleepers, and the lock_buckets' and the run queues' locks are not of these: waking does not recurse.
 */
#include "kernel/sync/spinlock.h"

#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/sched.h"

#define SPINS_BETWEEN_LOOKS 16 /* at whether the owner runs */

struct lock_waiter {
	struct spinlock *lock;
	u16 ticket;
};
static DEFINE_PER_CPU(struct lock_waiter, lock_waiter);

struct lock_sleeper {
	struct lock_sleeper *next;
	struct task *task;
	const struct spinlock *lock;
	u16 ticket;
};

#define NR_BUCKETS 16
#define CACHE_LINE 64 /* no two such locks lie in one */
static struct bucket {
	struct spinlock lock;
	struct lock_sleeper *first; /* lock */
} lock_buckets[NR_BUCKETS] = {
	[0 ... NR_BUCKETS - 1] = {.lock = SPINLOCK_INIT(LOCK_WAIT)},
};

#ifdef CONFIG_DEBUG
unsigned spins_before_sleep = SPINS_BEFORE_SLEEP;
#endif
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

static bool spin_for_turn(const struct spinlock *l, u16 ticket)
{
	for (unsigned i = 0; i < spins_before_sleep; i++) {
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
	WRITE_ONCE(w->lock, NULL);
	WRITE_ONCE(w->ticket, ticket);
	WRITE_ONCE(w->lock, l);
	__atomic_add_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	if (READ_ONCE(l->head) != ticket)
		pv_lock_wait(&l->head, ticket);
	__atomic_sub_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	WRITE_ONCE(w->lock, NULL);
	WRITE_ONCE(w->ticket, outer.ticket);
	WRITE_ONCE(w->lock, outer.lock);
	/* A task that shall give way goes to sleep: in the run queue nobody would find it. */
	preempt_enable_no_resched();
}

static struct bucket *lock_bucket_of(const struct spinlock *l)
{
	return &lock_buckets[(unsigned long)l / CACHE_LINE % NR_BUCKETS];
}

static void add_lock_sleeper(struct bucket *b, struct lock_sleeper *s)
{
	spin_lock(&b->lock);
	s->next = b->first;
	b->first = s;
	spin_unlock(&b->lock);
}

static void remove_lock_sleeper(struct bucket *b, struct lock_sleeper *s)
{
	struct lock_sleeper **link = &b->first;

	spin_lock(&b->lock);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	spin_unlock(&b->lock);
}

static void sleep_until_served(struct spinlock *l, u16 ticket)
{
	struct lock_sleeper s = {.task = current, .lock = l, .ticket = ticket};
	struct bucket *b = lock_bucket_of(l);

	ASSERT(!current->is_idle && current->state == TASK_RUNNING);
	add_lock_sleeper(b, &s);
	__atomic_add_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	note_wait_for_lock(l);
	for (;;) {
		set_current_state(TASK_BLOCKED);
		if (READ_ONCE(l->head) == ticket)
			break;
		schedule();
	}
	set_current_state(TASK_RUNNING);
	note_wait(NULL, 0);
	__atomic_sub_fetch(&l->sleepers, 1, __ATOMIC_SEQ_CST);
	remove_lock_sleeper(b, &s);
}

static void wake_sleeper(const struct spinlock *l, u16 ticket)
{
	struct bucket *b = lock_bucket_of(l);

	spin_lock(&b->lock);
	for (struct lock_sleeper *s = b->first; s; s = s->next)
		if (s->lock == l && s->ticket == ticket)
			wake_up_first(s->task);
	spin_unlock(&b->lock);
}

void spin_wait(struct spinlock *l, u16 ticket, enum lock_way way)
{
	const bool preemptible = way == LOCK_PREEMPTIBLY;

	ASSERT(!preemptible || lock_class_is_preemptible(l->class));
	count_contended(l->class);
	trace_wait(l, l->class);
	while (!spin_for_turn(l, ticket)) {
		if (preemptible && preempt_count() == 0 && sched_has_runnable())
			sleep_until_served(l, ticket);
		else
			wait_for_kick(l, ticket);
	}
	trace_wait_end(l);
	if (preemptible && need_resched()) /* since wait_for_kick() */
		preempt_schedule();
}

/*
 * Kick whoever waits for the ticket now served. A CPU's record is read in two parts and may be of
 * two waits by then: so a match proves nothing, and the search goes on. Without preemption: whoever
 * owns the lock now would wait for the task that is to wake it.
 */
void spin_kick_next(struct spinlock *l)
{
	u16 ticket = READ_ONCE(l->head);

	preempt_disable();
	for_each_online_cpu(cpu) {
		struct lock_waiter *w = per_cpu_ptr(lock_waiter, cpu);

		if (READ_ONCE(w->lock) == l && READ_ONCE(w->ticket) == ticket)
			pv_lock_kick(cpu);
	}
	if (lock_class_is_preemptible(l->class))
		wake_sleeper(l, ticket);
	preempt_enable();
}
