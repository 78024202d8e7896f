/*
 * How fast one counter runs, measured by another whose rate is known and which can be read back.
 *
 * The CPU that measures may be stopped by its host at any moment, for any time, so no single
 * interval is trusted. Each reading of the counter stands between two readings of the TSC, and of
 * several readings the tightest is taken: where in this bracket the counter was read is all that is
 * not known. What is measured goes from one such reading to another one that is far enough away
 * for both brackets to be small against it. Pure code; no locks.
 */
#pragma once

#include "kernel/lib/types.h"

/* @a * @b / @c, with 128 bits between; the largest value if it does not fit. */
static inline u64 mul_div(u64 a, u64 b, u64 c)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	u64 low = product, high = product >> 64;

	if (high >= c)
		return ~0UL;
	__asm__("divq %2" : "+a"(low), "+d"(high) : "r"(c) : "cc");
	return low;
}

struct clock_counter {
	const char *name;
	u64 hz;	  /* ticks of this counter in a second */
	u64 mask; /* where it wraps */
	u64 (*read)(void);
};

/*
 * What @tsc reads makes in a second, by @c, within some 0.1 %; 0 if @c does not count, or if no two
 * of the measurements agree. Takes a few milliseconds at most, unless the host is in the way.
 */
u64 measure_hz(const struct clock_counter *c, u64 (*tsc)(void));
