/* Time since boot, from the time-stamp counter, and the date of the boot. */
#pragma once

#include "pv/pv_ops.h"

#define NS_PER_S 1000000000UL

struct clock_counter;

/*
 * Find how fast the TSC is; if nobody tells, by the @n timers, the best of which comes first.
 * Boot CPU, before anything asks for the time.
 */
void clock_init(const struct clock_counter *timers, unsigned n);
/* The same where a hypervisor gives the time, too: the TSC makes @hz, as @says says. */
void clock_set_tsc_hz(u64 hz, const char *says);
/* Ticks of the TSC in a second; 0 before clock_init() or clock_set_tsc_hz(). */
u64 clock_tsc_hz(void);
/* Nanoseconds since clock_init(), by the TSC; clock_ns() of the pv table asks this natively. */
u64 native_clock_ns(void);
/* TSC ticks as nanoseconds. */
u64 clock_ticks_to_ns(u64 ticks);
/*
 * At boot: it was @ns nanoseconds after the beginning of 1970, in UTC, when clock_ns() was 0. Until
 * it is called, and where nobody knows the date, the machine was booted in 1970.
 */
void clock_set_epoch(u64 ns);
/* What clock_set_epoch() was told, in nanoseconds since 1970; else 0. */
u64 clock_epoch(void);
/* Busy-wait. */
void clock_delay_ns(u64 ns);
