/*
 * Time-outs, which are sleeps that end at a point of time, whatever else may end them; and the
 * timer of each CPU, which serves them and the scheduler's tick.
 *
 * A sleeper waits in the heap of the CPU on which it went to sleep, and that CPU's timer comes at
 * its deadline whether the CPU is idle, busy, or without ticks. All times are those of clock_ns().
 */
#pragma once

#include "kernel/lib/types.h"

#define FOREVER (~0UL) /* a deadline that never comes */

/* schedule() that also ends at @deadline. The caller has set its state. */
void schedule_until(u64 deadline);
/* Sleep until @deadline: 0, or -EINTR because the process ends. */
long sleep_until(u64 deadline);

/* Boot, for each CPU: its queue is empty. */
void timeouts_init_cpu(unsigned cpu);

/*
 * For the scheduler, about this CPU, with interrupts off. @now is clock_ns() of just now.
 *
 * The next tick is due at @when.
 */
void timer_set_tick(u64 when, u64 now);
/* None is. The timer may still come when it would have been, and is then no tick. */
void timer_stop_tick(void);
/*
 * In the timer interrupt: wake at most TIMEOUTS_AT_ONCE of the sleepers that are due; whether a
 * tick was due too. Then timer_set_tick() may set the next one, and timer_rearm() comes last.
 */
bool timeouts_run(u64 now);
/* Let the timer come again, for what is due next. */
void timer_rearm(u64 now);

#define TIMEOUTS_AT_ONCE 16
