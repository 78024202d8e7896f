/* Time since boot, from the time-stamp counter. */
#pragma once

#include "kernel/types.h"

/* Measure the TSC. Boot CPU, before anything asks for the time. */
void clock_init(void);
/* Nanoseconds since clock_init(). */
u64 clock_ns(void);
/* Busy-wait. */
void clock_delay_ns(u64 ns);
