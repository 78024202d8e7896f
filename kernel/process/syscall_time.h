/*
 * Clocks: their numbers, as in Linux's include/uapi/linux/time.h, and those that count CPU time.
 */
#pragma once

#include "kernel/lib/types.h"

enum {
	CLOCK_REALTIME,
	CLOCK_MONOTONIC,
	CLOCK_PROCESS_CPUTIME_ID,
	CLOCK_THREAD_CPUTIME_ID,
	CLOCK_MONOTONIC_RAW,
	CLOCK_REALTIME_COARSE,
	CLOCK_MONOTONIC_COARSE,
	CLOCK_BOOTTIME,
	CLOCK_REALTIME_ALARM,
	CLOCK_BOOTTIME_ALARM,
	CLOCK_TAI = 11,
};

static inline bool is_cpu_clock(int clock)
{
	return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

/* A negative number that stands for an open file, of which none is a clock. */
static inline bool is_file_clock(int clock)
{
	return clock < 0 && (clock & 7) == 3;
}

static inline bool is_alarm_clock(int clock)
{
	return clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM;
}

/* What the clock of CPU time @clock says: 0, or -EINVAL if there is no such process or thread. */
long cpu_clock_read(int clock, u64 *ns);
/* Its resolution in @ns, and the same errors. */
long cpu_clock_resolution(int clock, u64 *ns);
/* Sleep until @clock says @time, or for @time of it; also -EINTR, because the process ends. */
long cpu_clock_sleep(int clock, u64 time, bool absolute);
