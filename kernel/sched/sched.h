/*
 * The scheduler: preemptive round-robin, a run queue for each CPU, migration by wake-up, by idle
 * stealing, by affinity and, in stress, at random.
 *
 * Rules: a context switch issues this CPU's batch unconditionally, before it takes the run queue's
 * lock and with interrupts on (a TLB shootdown waits for other CPUs). A task that migrates becomes
 * visible to its new CPU only after its registers are saved.
 */
#pragma once

#include "kernel/sched/task.h"

/* Each CPU once, the boot CPU first: the caller's context becomes the idle task. */
void sched_init_cpu(unsigned cpu);
/* Its idle task, with a stack; panics when out of memory. */
struct task *sched_alloc_idle(unsigned cpu);
/* The idle loop; never returns. */
void cpu_idle(void) __noreturn;

/* Give up the CPU until woken; at once, if that has happened since the task set its state. */
void schedule(void);
/* Give up the CPU until its turn comes again. */
void sched_yield(void);
/* The same where preemptible locks may be held. */
void sched_yield_in_lock(void);
/* True if tasks wait for this CPU, beside the one that runs. A hint: it may change at once. */
bool sched_has_runnable(void);
/* At the end of an interrupt that may preempt: interrupts are off. */
void preempt_schedule_irq(void);
/* The timer interrupt; @user: it interrupted user mode. */
void sched_tick(bool user);
/* VECTOR_RESCHED: this CPU shall choose its task anew, at the end of the interrupt. */
void sched_ipi(void);

/* First start of @t, on the least loaded CPU it may use. */
void wake_up_new_task(struct task *t);
/* Make a blocked task runnable; false if it was not blocked. Any context but NMI. */
bool wake_up_task(struct task *t);
/* The same for a task that has just been given a lock: it runs before all that wait for its CPU. */
bool wake_up_first(struct task *t);
/* Interrupt whatever @t does in user mode, so that it looks at its work flags. */
void kick_task(struct task *t);
/* Go to sleep in @state unless a wake-up has come since; the caller has set the state itself. */
static inline void set_current_state(enum task_state state)
{
	xchg(&current->state, state);
}

/* The CPU time of @t, also while it runs. */
struct cputime sched_cputime(struct task *t);

/* 0, or -EINVAL if no online CPU is left. */
int sched_setaffinity(struct task *t, const cpumask_t *mask);

/*
 * Stress: quantum in microseconds (timer interrupts come after quantum/2 .. quantum*3/2, seeded; 0:
 * no more come than what is armed already), and how often out of 1000 a preempted task goes to a
 * random CPU.
 */
struct sched_tuning {
	unsigned quantum_us;
	unsigned migrate_permille;
	/* how often a preemption point preempts, and lets other CPUs go ahead; debug builds */
	unsigned point_permille, pause_permille;
};
extern struct sched_tuning sched_tuning;
/*
 * From now on @tuning holds; CPUs that had no timer interrupts get them. Interrupts on, preemption
 * may be on.
 */
void sched_tune(struct sched_tuning tuning);
#define SCHED_TUNING_DEFAULT ((struct sched_tuning){.quantum_us = 4000, .migrate_permille = 0})
