/*
 * Interrupt vectors and the calls between CPUs.
 */
#pragma once

#include "kernel/lib/cpumask.h"

#define VECTOR_TIMER 0xf0
#define VECTOR_RESCHED 0xf1 /* look at the run queue and at the task's work flags */
#define VECTOR_CALL 0xf2    /* run the functions in this CPU's inbox */
#define VECTOR_KICK 0xf3    /* only ends a halt */
#define VECTOR_SPURIOUS 0xff

/*
 * Run @fn(@arg) on each online CPU of @mask but this one, and wait until all have. Interrupts on,
 * preemption off; not from an interrupt. @fn runs there with interrupts off.
 */
void smp_call_mask(const cpumask_t *mask, void (*fn)(void *arg), void *arg);
/* VECTOR_CALL: run what other CPUs have asked of this one, and answer each. Interrupts off. */
void smp_call_interrupt(void);
/* @cpu calls, has halted, and is not answered yet: for tests. */
bool smp_call_is_halted(unsigned cpu);
