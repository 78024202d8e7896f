/* Time since boot, from the time-stamp counter. */
#pragma once

#include "pv/pv_ops.h"

/* Measure the TSC. Boot CPU, before anything asks for the time. */
void clock_init(void);
/* Nanoseconds since clock_init(), by the TSC; clock_ns() of the pv table asks this natively. */
u64 native_clock_ns(void);
/* Busy-wait. */
void clock_delay_ns(u64 ns);
