/*
 * Suite `wake`: a task that is given a lock runs before all that wait for its CPU. Else whoever
 * waits behind it would wait, with its own CPU, for what that CPU does instead.
 *
 * Two tasks keep CPU 1 busy, one of them with interrupts off from before the lock is given away
 * until after, and no ticks come. So when interrupts are on again CPU 1 makes one choice, for the
 * waiter or for the second busy task. Oracle: the waiter.
 */
#include "kernel/cpu/interrupt.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/sched/timeout.h"
#include "kernel/sched/wait.h"
#include "tests/ktest.h"

enum runner { WAITER = 1, BUSY };

static struct spinlock ptl = SPINLOCK_INIT(LOCK_PTE);
static struct {
	bool ready;    /* the waiter waits: one task keeps the CPU now */
	bool given;    /* the lock */
	bool has_lock; /* the waiter */
	bool over;
	bool is_queued;	  /* the waiter, in the run queue */
	enum runner last; /* of those that queue for CPU 1 */
	atomic_t there;	  /* tasks on CPU 1 that queue for it */
	atomic_t busy;	  /* tasks that have had CPU 1 for themselves */
} scene;

/* A queued waiter shall stand behind the other busy task: it has just run. */
static bool may_keep_cpu(enum runner previous)
{
	return smp_load_acquire(&scene.ready) &&
	       (!scene.is_queued || previous == WAITER || atomic_read(&scene.busy));
}

static void keep_cpu_busy(void *arg __unused)
{
	atomic_inc(&scene.there);
	while (!may_keep_cpu(xchg(&scene.last, BUSY)))
		sched_yield();
	local_irq_disable();
	atomic_inc(&scene.busy);
	while (!smp_load_acquire(&scene.given))
		cpu_relax();
	local_irq_enable();
	while (!smp_load_acquire(&scene.over))
		cpu_relax();
}

/* The one that is armed still, on this CPU: what its interrupt finds is no tick. */
static void stop_tick(void)
{
	unsigned long flags = local_irq_save();

	timer_stop_tick();
	local_irq_restore(flags);
}

static void wait_for_lock(void *arg __unused)
{
	stop_tick();
	spin_lock_preemptible(&ptl, 0);
	smp_store_release(&scene.has_lock, true);
	spin_unlock_preemptible(&ptl);
}

/* As if a timer interrupt came, each time, before it sleeps. */
static void be_preempted_before_sleep(void *arg __unused)
{
	stop_tick();
	atomic_inc(&scene.there);
	while (!smp_load_acquire(&scene.given)) {
		set_current_state(TASK_BLOCKED);
		xchg(&scene.last, WAITER);
		sched_yield_in_lock();
	}
	set_current_state(TASK_RUNNING);
	smp_store_release(&scene.has_lock, true);
}

/* @queued: preempted before it slept. */
static bool is_blocked(const struct task *task, bool queued)
{
	return READ_ONCE(task->state) == TASK_BLOCKED && READ_ONCE(task->on_rq) == queued &&
	       !READ_ONCE(task->on_cpu);
}

static void await_choice(struct ktest *t)
{
	pv_send_ipi(1, VECTOR_RESCHED);
	smp_store_release(&scene.given, true);
	while (!smp_load_acquire(&scene.has_lock) && atomic_read(&scene.busy) < 2)
		cpu_relax();
	KEXPECT(t, smp_load_acquire(&scene.has_lock));
}

static void give_to_sleeper(struct ktest *t)
{
	struct task *waiter;

	spin_lock_preemptible(&ptl, 0);
	waiter = run_on_cpu(1, "waiter", wait_for_lock, NULL);
	run_on_cpu(1, "busy", keep_cpu_busy, NULL);
	run_on_cpu(1, "busy", keep_cpu_busy, NULL);
	while (atomic_read(&scene.there) < 2 || !is_blocked(waiter, false))
		cpu_relax();
	smp_store_release(&scene.ready, true);
	while (!atomic_read(&scene.busy))
		cpu_relax();
	spin_unlock_preemptible(&ptl);
	await_choice(t);
}

static void give_to_preempted(struct ktest *t)
{
	struct task *waiter;

	scene.is_queued = true;
	waiter = run_on_cpu(1, "waiter", be_preempted_before_sleep, NULL);
	run_on_cpu(1, "busy", keep_cpu_busy, NULL);
	run_on_cpu(1, "busy", keep_cpu_busy, NULL);
	while (atomic_read(&scene.there) < 3)
		cpu_relax();
	smp_store_release(&scene.ready, true);
	while (!atomic_read(&scene.busy))
		cpu_relax();
	KEXPECT(t, is_blocked(waiter, true));
	KEXPECT(t, wake_up_first(waiter));
	await_choice(t);
}

/* @act on CPU 0, without ticks anywhere. */
static void stage(struct ktest *t, void (*act)(struct ktest *t))
{
	const cpumask_t here = cpumask_of(0), everywhere = cpu_online_mask;
	const struct sched_tuning tuning = sched_tuning;
	const unsigned tasks = task_count();

	if (cpumask_weight(&cpu_online_mask) < 2) {
		ktest_skip(t, "the holder needs a CPU of its own");
		return;
	}
	BUG_ON(sched_setaffinity(current, &here));
	sched_tune((struct sched_tuning){.quantum_us = 0});
	memset(&scene, 0, sizeof(scene));
	act(t);
	smp_store_release(&scene.over, true);
	sched_tune(tuning);
	BUG_ON(sched_setaffinity(current, &everywhere));
	await_tasks(tasks);
}

static void sleeper_runs_first(struct ktest *t)
{
	stage(t, give_to_sleeper);
	KEXPECT(t, !spin_is_locked(&ptl));
	KEXPECT_EQ(t, ptl.sleepers, 0);
}

static void preempted_before_sleep_runs_first(struct ktest *t)
{
	stage(t, give_to_preempted);
}

static const struct ktest_case cases[] = {
	{"sleeper_runs_first", sleeper_runs_first},
	{"preempted_before_sleep_runs_first", preempted_before_sleep_runs_first},
};
KTEST_SUITE(wake_suite, "wake", "who is given a lock runs first", true, cases);
