/*
 * Cross-calls: run a function on other CPUs and wait for them.
 *
 * Each CPU has one outgoing call at a time (its caller has preemption off and waits) and an inbox,
 * a bit for each calling CPU. No locks: bits are set and taken atomically. The caller must keep
 * interrupts on, or two CPUs that call each other would wait for ever.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/sync/spinlock.h"

#define CALLER_HALTED 0x80000000u
#define SPINS_BEFORE_HALT (4 * spins_before_sleep)

struct call {
	void (*fn)(void *arg);
	void *arg;
	u32 pending; /* CPUs that have not answered; CALLER_HALTED: kick me after the last */
};
static DEFINE_PER_CPU(struct call, outgoing_call);
static DEFINE_PER_CPU(cpumask_t, call_inbox);

/* True if @cpu must be interrupted: a word that was not empty has an interrupt under way. */
static bool post(unsigned cpu, unsigned caller)
{
	u64 *word = &per_cpu(call_inbox, cpu).bits[caller / 64];

	return __atomic_fetch_or(word, BIT(caller % 64), __ATOMIC_SEQ_CST) == 0;
}

static void wait_for_answers(struct call *c)
{
	for (unsigned i = 0; i < SPINS_BEFORE_HALT; i++) {
		if (!READ_ONCE(c->pending))
			return;
		cpu_relax();
	}
	while (READ_ONCE(c->pending)) {
		local_irq_disable();
		if (__atomic_fetch_or(&c->pending, CALLER_HALTED, __ATOMIC_SEQ_CST) &
		    ~CALLER_HALTED)
			safe_halt();
		else
			WRITE_ONCE(c->pending, 0);
		local_irq_enable();
		if (READ_ONCE(c->pending) == CALLER_HALTED)
			WRITE_ONCE(c->pending, 0);
	}
}

bool smp_call_is_halted(unsigned cpu)
{
	return READ_ONCE(per_cpu(outgoing_call, cpu).pending) > CALLER_HALTED;
}

void smp_call_mask(const cpumask_t *mask, void (*fn)(void *arg), void *arg)
{
	unsigned self = smp_processor_id(), n = 0;
	struct call *c = this_cpu_ptr(outgoing_call);
	cpumask_t todo = *mask;

	ASSERT(!irqs_disabled() && !in_interrupt() && preempt_count() > 0);
	cpumask_clear(&todo, self);
	for (unsigned i = 0; i < ARRAY_SIZE(todo.bits); i++)
		todo.bits[i] &= cpu_online_mask.bits[i];
	n = cpumask_weight(&todo);
	if (!n)
		return;
	ASSERT(!c->pending);
	*c = (struct call){fn, arg, n};
	trace(TRACE_CALL, 0, n, (u64)fn);
	for_each_cpu_in(cpu, &todo) {
		trace(TRACE_POST, 0, cpu, 0);
		if (post(cpu, self))
			pv_send_ipi(cpu, VECTOR_CALL);
	}
	wait_for_answers(c);
	trace(TRACE_CALL_END, 0, 0, 0);
}

static void answer(unsigned caller)
{
	struct call *c = per_cpu_ptr(outgoing_call, caller);

	trace(TRACE_ANSWER, 0, caller, (u64)c->fn);
	c->fn(c->arg);
	trace(TRACE_ANSWER_END, 0, 0, 0);
	if (__atomic_sub_fetch(&c->pending, 1, __ATOMIC_SEQ_CST) == CALLER_HALTED)
		pv_lock_kick(caller);
}

void smp_call_interrupt(void)
{
	cpumask_t *inbox = this_cpu_ptr(call_inbox);

	for (unsigned w = 0; w < ARRAY_SIZE(inbox->bits); w++) {
		u64 callers = xchg(&inbox->bits[w], 0);

		for (; callers; callers &= callers - 1)
			answer(w * 64 + __builtin_ctzll(callers));
	}
}
