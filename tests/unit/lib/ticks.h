/*
 * Time that each CPU measures itself.
 *
 * Whoever looks at another CPU for a while knows nothing of what that CPU had to do meanwhile: the
 * host may not have run it. But a CPU's own timer serves its ticks and its sleepers in the order of
 * their times. So when it wakes a sleeper, all that was due there before has been done, however
 * long the host took.
 */
#pragma once

#include "kernel/sched/sched.h"

/* Nanoseconds in which a tick comes, with some time to spare (sched_tune()). */
#define TICK_PERIOD_NS(quantum_us) (2000UL * (quantum_us))

/*
 * Until a task of each online CPU has slept there for @ns nanoseconds and has then called @fn, if
 * there is one. Interrupts and preemption are on.
 */
void ticks_pass(u64 ns, void (*fn)(void));
/* No more ticks: what was armed on any CPU has come. The tuning that was there before. */
struct sched_tuning ticks_end(void);
