/*
 * Time-outs: sleeps that end at a point of time, whatever else may end them.
 */
#pragma once

#include "kernel/types.h"

#define FOREVER (~0UL) /* a deadline that never comes */

/* schedule() that also ends at @deadline, in terms of clock_ns(). The caller has set its state. */
void schedule_until(u64 deadline);
/* Sleep until @deadline: 0, or -EINTR because the process ends. */
long sleep_until(u64 deadline);

/* For the scheduler: wake who is due; interrupts are off. */
void timeouts_run(void);
/* The same: this CPU halts now; its timer must come when the first is due. */
void timeouts_arm(void);
