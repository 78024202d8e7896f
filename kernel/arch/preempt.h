/*
 * The preemption counter of this CPU, and what a context is.
 *
 * One per-CPU word: bits 0-7 count preempt_disable(), bits 16-19 interrupts, bit 20 NMIs, and bit
 * 31 is *clear* when a reschedule is wanted. So the counter reaches zero exactly when preemption is
 * allowed and wanted, and preempt_enable() is a decrement and a jump.
 */
#pragma once

#include "kernel/arch/percpu.h"

#define HARDIRQ_OFFSET 0x00010000u
#define HARDIRQ_MASK 0x000f0000u
#define NMI_OFFSET 0x00100000u
#define PREEMPT_NO_RESCHED 0x80000000u

DECLARE_PER_CPU(u32, preempt_word);

/* Called by preempt_enable() when a reschedule is wanted; does nothing with interrupts off. */
void preempt_schedule(void);

static inline u32 preempt_count(void)
{
	return this_cpu_read(preempt_word) & ~PREEMPT_NO_RESCHED;
}

static inline bool in_interrupt(void)
{
	return this_cpu_read(preempt_word) & (HARDIRQ_MASK | NMI_OFFSET);
}

static inline void preempt_disable(void)
{
	__asm__ volatile("incl %%gs:%0" : "+m"(preempt_word) : : "memory", "cc");
}

/*
 * For callers that look at need_resched() themselves, or have interrupts off until somebody does:
 * an interrupt that came meanwhile and wants another task has left that to them.
 */
static inline void preempt_enable_no_resched(void)
{
	__asm__ volatile("decl %%gs:%0" : "+m"(preempt_word) : : "memory", "cc");
}

static inline void preempt_enable(void)
{
	bool zero;

	__asm__ volatile("decl %%gs:%1" : "=@ccz"(zero), "+m"(preempt_word) : : "memory");
	if (unlikely(zero))
		preempt_schedule();
}

#ifdef CONFIG_DEBUG
/* Something happens at them: kernel/sched/sched.h, struct sched_tuning. */
extern bool preempt_points;
/*
 * What a preemption point does while they are on: nothing where preemption or interrupts are off;
 * else it yields, pauses, or goes on, as sched_tuning and this CPU's random numbers say.
 */
void preempt_point_hit(void);

/*
 * Stress: here another task may run, and this one go to another CPU, as the seed says; or this CPU
 * pauses, where QEMU has one thread for all CPUs and now runs the next. Between any two steps of
 * the protocol of lazy sections there is one.
 */
static inline void preempt_point(void)
{
	if (unlikely(preempt_points))
		preempt_point_hit();
}
#else
static inline void preempt_point(void) {}
#endif

static inline void set_need_resched(void)
{
	__asm__ volatile("andl %1, %%gs:%0" : "+m"(preempt_word) : "i"(~PREEMPT_NO_RESCHED) : "cc");
}

static inline void clear_need_resched(void)
{
	__asm__ volatile("orl %1, %%gs:%0" : "+m"(preempt_word) : "i"(PREEMPT_NO_RESCHED) : "cc");
}

static inline bool need_resched(void)
{
	bool clear;

	__asm__ volatile("testl %2, %%gs:%1"
			 : "=@ccz"(clear)
			 : "m"(preempt_word), "i"(PREEMPT_NO_RESCHED));
	return clear;
}

static inline void irq_enter(void)
{
	__asm__ volatile("addl %1, %%gs:%0" : "+m"(preempt_word) : "i"(HARDIRQ_OFFSET) : "cc");
}

static inline void irq_exit(void)
{
	__asm__ volatile("subl %1, %%gs:%0" : "+m"(preempt_word) : "i"(HARDIRQ_OFFSET) : "cc");
}

static inline void nmi_enter(void)
{
	__asm__ volatile("addl %1, %%gs:%0" : "+m"(preempt_word) : "i"(NMI_OFFSET) : "cc");
}
