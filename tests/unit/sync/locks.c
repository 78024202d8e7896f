/*
 * Suite `locks`: spinlocks, the read-write semaphore, and their checks.
 *
 * Oracle: counters that only mutual exclusion keeps exact; the list of held locks; the state words,
 * which return to zero. The same without ticks: a tick would end the halt of a waiter whose kick
 * was lost, and let it look again. That a wrong order, a release by another task and an unsafe
 * class panic is shown by tests/system/test_panics.py.
 */
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/sched/wait.h"
#include "mm/frame/page.h"
#include "tests/ktest.h"

#define THREADS 6
#define LOOPS 3000

static DEFINE_SPINLOCK(test_lock, LOCK_TEST);
static DEFINE_SPINLOCK(irq_lock, LOCK_TEST_IRQ);
static struct spinlock ptl = SPINLOCK_INIT(LOCK_PTE);
static struct rwsem sem;
static u64 plain_counter, other_counter;
static atomic_t running;

/* Run @fn in THREADS kernel threads and wait for their end. */
static void run_threads(void (*fn)(void *arg))
{
	unsigned tasks = task_count();

	atomic_set(&running, THREADS);
	for (unsigned long i = 0; i < THREADS; i++)
		kthread_run("locks", fn, (void *)i);
	while (atomic_read(&running))
		let_others_run();
	await_tasks(tasks);
}

static void spin_worker(void *arg __unused)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		spin_lock(&test_lock);
		plain_counter++;
		spin_unlock(&test_lock);
	}
	atomic_dec(&running);
}

static void spinlock_excludes(struct ktest *t)
{
	plain_counter = 0;
	run_threads(spin_worker);
	KEXPECT_EQ(t, plain_counter, THREADS * LOOPS);
	KEXPECT_EQ(t, test_lock.head, test_lock.tail);
	KEXPECT_EQ(t, test_lock.sleepers, 0);
}

/* Holders give up their CPU inside; waiters must give it back to them. */
static void preemptible_worker(void *arg __unused)
{
	for (unsigned i = 0; i < LOOPS / 10; i++) {
		u64 seen;

		spin_lock_preemptible(&ptl, 0);
		seen = plain_counter;
		if (i % 16 == 0)
			sched_yield_in_lock();
		plain_counter = seen + 1;
		spin_unlock_preemptible(&ptl);
	}
	atomic_dec(&running);
}

static void preemptible_lock_excludes(struct ktest *t)
{
	plain_counter = 0;
	run_threads(preemptible_worker);
	KEXPECT_EQ(t, plain_counter, THREADS * (LOOPS / 10));
	KEXPECT(t, !spin_is_locked(&ptl));
}

static void lock_in_interrupt(const struct pt_regs *regs __unused)
{
	spin_lock(&irq_lock);
	other_counter++;
	spin_unlock(&irq_lock);
}

static void irq_lock_excludes_interrupts(struct ktest *t)
{
	u64 own = 0;

	other_counter = 0;
	set_timer_hook(lock_in_interrupt);
	while (READ_ONCE(other_counter) - own < 10) {
		unsigned long flags = spin_lock_irqsave(&irq_lock);
		u64 before = other_counter;

		pv_set_timer(1000);
		for (unsigned i = 0; i < 2000; i++)
			cpu_relax();
		KEXPECT_EQ(t, other_counter, before);
		spin_unlock_irqrestore(&irq_lock, flags);
	}
	set_timer_hook(NULL);
}

static void sem_worker(void *arg)
{
	for (unsigned i = 0; i < LOOPS / 3; i++) {
		if (((unsigned long)arg + i) % 3 == 0) {
			u64 seen;

			down_write(&sem);
			seen = plain_counter;
			if (i % 32 == 0)
				sched_yield_in_lock();
			plain_counter = other_counter = seen + 1;
			if (i % 2) {
				downgrade_write(&sem);
				BUG_ON(plain_counter != seen + 1);
				up_read(&sem);
			} else {
				up_write(&sem);
			}
		} else {
			down_read(&sem);
			BUG_ON(READ_ONCE(plain_counter) != READ_ONCE(other_counter));
			up_read(&sem);
		}
	}
	atomic_dec(&running);
}

static void rwsem_excludes_writers(struct ktest *t)
{
	u64 expected = 0;

	for (unsigned w = 0; w < THREADS; w++)
		for (unsigned i = 0; i < LOOPS / 3; i++)
			expected += (w + i) % 3 == 0;
	plain_counter = other_counter = 0;
	rwsem_init(&sem);
	run_threads(sem_worker);
	KEXPECT_EQ(t, plain_counter, expected);
	KEXPECT_EQ(t, sem.state, 0);
}

#ifdef CONFIG_DEBUG
static void held_locks_are_known(struct ktest *t)
{
	struct spinlock first = SPINLOCK_INIT(LOCK_PTE), second = SPINLOCK_INIT(LOCK_PTE);

	KEXPECT(t, !lockdep_is_held(&first));
	spin_lock_preemptible(&first, 0);
	KEXPECT(t, lockdep_is_held(&first) && first.owner == current);
	spin_lock_preemptible(&second, 1);
	KEXPECT_EQ(t, lockdep_held_of_class(LOCK_PTE), 2);
	/* Not in reverse order: allowed, and the other one stays. */
	spin_unlock_preemptible(&first);
	KEXPECT(t, !lockdep_is_held(&first) && lockdep_is_held(&second) && !first.owner);
	spin_unlock_preemptible(&second);
	KEXPECT_EQ(t, current->held.nr, 0);
}
#else
static void held_locks_are_known(struct ktest *t)
{
	ktest_skip(t, "a release build keeps no list");
}
#endif

/* Preemption comes from its seeded points alone. */
static void without_ticks(struct ktest *t, void (*test)(struct ktest *t))
{
	const struct sched_tuning tuning = sched_tuning;

	sched_tune((struct sched_tuning){.point_permille = 20, .pause_permille = 20});
	test(t);
	sched_tune(tuning);
}

static void spinlock_without_ticks(struct ktest *t)
{
	without_ticks(t, spinlock_excludes);
}

static void preemptible_lock_without_ticks(struct ktest *t)
{
	without_ticks(t, preemptible_lock_excludes);
}

static void rwsem_without_ticks(struct ktest *t)
{
	without_ticks(t, rwsem_excludes_writers);
}

static const struct ktest_case cases[] = {
	{"spinlock_excludes", spinlock_excludes},
	{"preemptible_lock_excludes", preemptible_lock_excludes},
	{"irq_lock_excludes_interrupts", irq_lock_excludes_interrupts},
	{"rwsem_excludes_writers", rwsem_excludes_writers},
	{"spinlock_without_ticks", spinlock_without_ticks},
	{"preemptible_lock_without_ticks", preemptible_lock_without_ticks},
	{"rwsem_without_ticks", rwsem_without_ticks},
	{"held_locks_are_known", held_locks_are_known},
};
KTEST_SUITE(locks_suite, "locks", "spinlocks, semaphores and their checks", true, cases);
