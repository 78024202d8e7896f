/*
 * Suite `race-calls`: cross-calls that meet at every instruction.
 *
 * The caller is stepped while another one comes, or its target takes the interrupt; and the target,
 * as it serves its inbox. Oracle: each call is carried out once, before its caller returns, and
 * nobody waits for ever.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/atomic.h"
#include "kernel/sched/sched.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"

#define CALLERS 3 /* CPUs that call */

static struct {
	atomic_t calls, carried_out; /* of each caller */
} caller[CALLERS];

static void prepare(void)
{
	for (unsigned cpu = 0; cpu < CALLERS; cpu++) {
		atomic_set(&caller[cpu].calls, 0);
		atomic_set(&caller[cpu].carried_out, 0);
	}
}

static void carry_out(void *count)
{
	atomic_t *n = count;

	atomic_inc(n);
}

static void call(unsigned cpu)
{
	const cpumask_t mask = cpumask_of(cpu);
	unsigned self;

	preempt_disable();
	self = smp_processor_id();
	atomic_inc(&caller[self].calls);
	smp_call_mask(&mask, carry_out, &caller[self].carried_out);
	BUG_ON(atomic_read(&caller[self].carried_out) != atomic_read(&caller[self].calls));
	preempt_enable();
}

static void call_cpu_0(void)
{
	call(0);
}

static void call_cpu_1(void)
{
	call(1);
}

static void call_cpu_2(void)
{
	call(2);
}

static bool other_is_halted(void)
{
	return smp_call_is_halted(1);
}

static void expect_each_once(struct ktest *t)
{
	for (unsigned cpu = 0; cpu < CALLERS; cpu++)
		KEXPECT_EQ(t, atomic_read(&caller[cpu].carried_out),
			   atomic_read(&caller[cpu].calls));
}

/* --- the target: its interrupts are off until it shall serve --- */

static void close_interrupts(void)
{
	preempt_disable();
	local_irq_disable();
}

static void open_interrupts(void)
{
	local_irq_enable();
}

static void stay_open(void)
{
	local_irq_enable();
	preempt_enable();
}

/* --- the third CPU --- */

static bool third_is_there;

static void start_on_cpu_2(void (*fn)(void *arg))
{
	third_is_there = false;
	run_on_cpu(2, "third", fn, NULL);
}

/* Both callers' target: until one of them can do no more it does not serve. */
static void serve_late(void *arg __unused)
{
	close_interrupts();
	smp_store_release(&third_is_there, true);
	while (!smp_call_is_halted(0))
		cpu_relax();
	stay_open();
}

static void let_target_close_interrupts(void)
{
	start_on_cpu_2(serve_late);
	while (!smp_load_acquire(&third_is_there))
		let_others_run();
}

static void call_first(void *arg __unused)
{
	while (!smp_load_acquire(&third_is_there))
		cpu_relax();
	call_cpu_0();
}

/* And there is a call in the inbox. */
static void close_interrupts_until_called(void)
{
	start_on_cpu_2(call_first);
	close_interrupts();
	smp_store_release(&third_is_there, true);
	while (!smp_call_is_halted(2))
		cpu_relax();
}

/* --- the cases --- */

#define CASE(id, text, ...)                                                                        \
	static void id(struct ktest *t)                                                            \
	{                                                                                          \
		static const struct encounter e = {                                                \
			.name = text,                                                              \
			.prepare = prepare,                                                        \
			.other_waits = other_is_halted,                                            \
			.check = expect_each_once,                                                 \
			__VA_ARGS__,                                                               \
		};                                                                                 \
		run(t, &e);                                                                        \
	}

static void run(struct ktest *t, const struct encounter *e)
{
	if (cpumask_weight(&cpu_online_mask) < CALLERS)
		ktest_skip(t, "there is no third CPU to call, or to be called");
	else
		encounter_run(t, e);
}

CASE(call_and_call, "a call, and one that comes", .stepped = call_cpu_1, .other = call_cpu_0)
CASE(call_and_interrupt, "a call, and its target takes the interrupt", .stepped = call_cpu_1,
     .other_before = close_interrupts, .other = open_interrupts, .other_after = stay_open)
CASE(two_callers, "a call, and a second caller of its target",
     .before = let_target_close_interrupts, .stepped = call_cpu_2, .other = call_cpu_2)
CASE(serve_and_call, "an empty inbox is served, a call comes", .before = close_interrupts,
     .stepped = smp_call_interrupt, .after = stay_open, .other = call_cpu_0)
CASE(serve_two, "an inbox is served, a second call comes", .before = close_interrupts_until_called,
     .stepped = smp_call_interrupt, .after = stay_open, .other = call_cpu_0)

static const struct ktest_case cases[] = {
	{"call_and_call", call_and_call}, {"call_and_interrupt", call_and_interrupt},
	{"two_callers", two_callers},	  {"serve_and_call", serve_and_call},
	{"serve_two", serve_two},
};
KTEST_SUITE(race_calls_suite, "race-calls", "cross-calls that meet at each instruction", true,
	    cases);
