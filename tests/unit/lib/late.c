/*
 * The task that comes second; see late.h.
 */
#include "tests/unit/lib/late.h"

#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/task.h"

static struct {
	void (*act)(void);
	unsigned tasks; /* before it */
	bool go, done;
} late;

static void act_late(void *arg __unused)
{
	while (!smp_load_acquire(&late.go))
		let_others_run();
	late.act();
	smp_store_release(&late.done, true);
}

bool late_begin(struct ktest *t, void (*act)(void))
{
	const cpumask_t here = cpumask_of(0), there = cpumask_of(1);

	if (cpumask_weight(&cpu_online_mask) < 2) {
		ktest_skip(t, "nobody is there to be second");
		return false;
	}
	late.tasks = task_count();
	late.act = act;
	late.go = late.done = false;
	BUG_ON(sched_setaffinity(current, &here));
	BUG_ON(sched_setaffinity(kthread_run("late", act_late, NULL), &there));
	return true;
}

void late_go(void)
{
	smp_store_release(&late.go, true);
}

void late_await(struct spinlock *lock)
{
	while ((u16)(READ_ONCE(lock->tail) - READ_ONCE(lock->head)) < 2 &&
	       !smp_load_acquire(&late.done))
		cpu_relax();
}

/* The next ticket is drawn before the lock is given away, so nobody gets past it. */
void late_let_pass(struct spinlock *lock)
{
	u16 ticket = __atomic_fetch_add(&lock->tickets, TICKET_ONE, __ATOMIC_SEQ_CST) >> 16;

	ticket_unlock(lock);
	spin_wait(lock, ticket, false);
	lock->owner = current;
}

void late_end(void)
{
	const cpumask_t everywhere = cpu_online_mask;

	BUG_ON(sched_setaffinity(current, &everywhere));
	await_tasks(late.tasks);
}
