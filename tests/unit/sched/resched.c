/*
 * Suite `resched`: no interrupt's wish for another task is lost, wherever it comes.
 *
 * An operation is single-stepped, and at its k-th instruction boundary an interrupt comes that
 * wants a reschedule: at once if preemption is allowed there, else as soon as it is. k goes through
 * all boundaries. Oracle: when the operation has ended, preemption and interrupts are on, and
 * nothing is wanted any more. Without ticks what is left over would wait for ever.
 * Last, ticks begin on every CPU that has a task to run.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/entry/traps.h"
#include "kernel/sched/sched.h"
#include "kernel/sync/spinlock.h"
#include "kernel/time/clock.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/ticks.h"

static struct {
	struct task *task;
	unsigned target, boundary; /* at which one the interrupt comes; how many there were */
	unsigned at_once, delayed, closed;
} step;

static void after_instruction(struct pt_regs *regs)
{
	if (current != step.task || step.boundary++ != step.target)
		return;
	if (!(regs->flags & FLAGS_IF)) {
		step.closed++;
		step.target++; /* it comes at the next one that is open */
		return;
	}
	if (preempt_count())
		step.delayed++;
	else
		step.at_once++;
	set_need_resched();
	interrupt_return(regs);
}

static struct spinlock lock = SPINLOCK_INIT(LOCK_PTE);

static __always_inline void read_clock(void)
{
	clock_ns();
}

static __always_inline void look_at_flags(void)
{
	irqs_disabled();
}

static __always_inline void irqs_off_and_on(void)
{
	local_irq_disable();
	local_irq_enable();
}

static __always_inline void irqs_restored(void)
{
	local_irq_restore(local_irq_save());
}

static __always_inline void preemption_off_and_on(void)
{
	preempt_disable();
	preempt_enable();
}

static __always_inline void take_lock(void)
{
	spin_lock(&lock);
	spin_unlock(&lock);
}

static __always_inline void take_lock_with_irqs_off(void)
{
	spin_unlock_irqrestore(&lock, spin_lock_irqsave(&lock));
}

static __always_inline void record(void)
{
	trace(TRACE_FAULT, 0, 0, 0);
}

static __always_inline void wake_nobody(void)
{
	wake_up_task(current); /* it runs */
}

/* Once, with the interrupt at step.target. */
#define ONE_PASS(operation)                                                                        \
	do {                                                                                       \
		step.boundary = 0;                                                                 \
		step_begin();                                                                      \
		operation();                                                                       \
		step_end();                                                                        \
		lost = need_resched();                                                             \
	} while (0)

#define CASE(operation)                                                                            \
	static void operation##_keeps_it(struct ktest *t)                                          \
	{                                                                                          \
		const struct sched_tuning tuning = begin_case();                                   \
		unsigned boundaries;                                                               \
		bool lost;                                                                         \
                                                                                                   \
		step.target = ~0u;                                                                 \
		ONE_PASS(operation);                                                               \
		boundaries = step.boundary;                                                        \
		for (step.target = 0; step.target < boundaries && !t->failures; step.target++) {   \
			ONE_PASS(operation);                                                       \
			if (lost)                                                                  \
				report_lost(t);                                                    \
		}                                                                                  \
		end_case(t, &tuning);                                                              \
	}

static struct sched_tuning begin_case(void)
{
	const struct sched_tuning tuning = ticks_end();

	step.task = current;
	step.at_once = step.delayed = step.closed = 0;
	set_step_hook(after_instruction);
	return tuning;
}

static void report_lost(struct ktest *t)
{
	ktest_fail(t, __FILE__, __LINE__, "what came at boundary %u is still wanted", step.target);
	sched_yield();
}

static void end_case(struct ktest *t, const struct sched_tuning *tuning)
{
	set_step_hook(NULL);
	sched_tune(*tuning);
	KEXPECT(t, step.at_once > 0);
}

/* --- ticks, on each CPU --- */

/* Who never gives way, on each CPU: the case's own task on the first one. */
static struct busy_cpu {
	struct task *task;
	bool runs;
	u64 before, ticks; /* that have come there */
} busy[MAX_CPUS];
static bool stop;

static void keep_cpu_busy(void *unused __unused)
{
	WRITE_ONCE(busy[smp_processor_id()].runs, true);
	while (!READ_ONCE(stop))
		cpu_relax();
}

static void keep_all_busy(void)
{
	stop = false;
	for_each_online_cpu(cpu) {
		busy[cpu] = (struct busy_cpu){.task = current};
		if (cpu == smp_processor_id())
			continue;
		busy[cpu].task = run_on_cpu(cpu, "busy", keep_cpu_busy, NULL);
		while (!READ_ONCE(busy[cpu].runs))
			cpu_relax();
	}
}

/* A tick is a sample of the task that it interrupts: on this CPU, of the busy one or of this one. */
static void count_ticks(void)
{
	struct busy_cpu *b = &busy[smp_processor_id()];

	b->ticks = READ_ONCE(b->task->cputime.samples) + current->cputime.samples;
}

static void expect_ticks(struct ktest *t, unsigned cpu)
{
	if (busy[cpu].ticks == busy[cpu].before)
		ktest_fail(t, __FILE__, __LINE__,
			   "CPU %u was busy for two quanta by its own timer, and had no tick", cpu);
}

/* Whoever runs when a quantum is given gets a tick, on the other CPUs, too. */
static void ticks_begin_everywhere(struct ktest *t)
{
	const cpumask_t here = cpumask_of(0), everywhere = cpu_online_mask;
	const unsigned tasks = task_count();
	struct sched_tuning tuning;

	BUG_ON(sched_setaffinity(current, &here));
	keep_all_busy();
	tuning = ticks_end();
	for_each_online_cpu(cpu)
		busy[cpu].before = READ_ONCE(busy[cpu].task->cputime.samples);
	sched_tune((struct sched_tuning){.quantum_us = tuning.quantum_us});
	ticks_pass(TICK_PERIOD_NS(tuning.quantum_us), count_ticks);
	for_each_online_cpu(cpu)
		expect_ticks(t, cpu);
	sched_tune(tuning);
	WRITE_ONCE(stop, true);
	BUG_ON(sched_setaffinity(current, &everywhere));
	await_tasks(tasks);
}

CASE(read_clock)
CASE(look_at_flags)
CASE(irqs_off_and_on)
CASE(irqs_restored)
CASE(preemption_off_and_on)
CASE(take_lock)
CASE(take_lock_with_irqs_off)
CASE(record)
CASE(wake_nobody)

static const struct ktest_case cases[] = {
	{"read_clock", read_clock_keeps_it},
	{"look_at_flags", look_at_flags_keeps_it},
	{"irqs_off_and_on", irqs_off_and_on_keeps_it},
	{"irqs_restored", irqs_restored_keeps_it},
	{"preemption_off_and_on", preemption_off_and_on_keeps_it},
	{"take_lock", take_lock_keeps_it},
	{"take_lock_with_irqs_off", take_lock_with_irqs_off_keeps_it},
	{"record", record_keeps_it},
	{"wake_nobody", wake_nobody_keeps_it},
	{"ticks_begin_everywhere", ticks_begin_everywhere},
};
KTEST_SUITE(resched_suite, "resched", "an interrupt's wish for another task is never lost", true,
	    cases);
