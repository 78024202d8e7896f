/*
 * The measurement of a rate; see clock_measure.h.
 *
 * One error is left to the bounded brackets: a host that stops the CPU for longer than the counter
 * takes to wrap makes the counter's way too short, and so the rate too high, by any factor. So the
 * least of several measurements is taken, once another one confirms it.
 */
#include "kernel/time/clock_measure.h"

#define PRECISION 4096	      /* an interval is so many times what is not known of its ends */
#define AGREEMENT 1024	      /* and two measurements differ by less than one part in so many */
#define READINGS 8	      /* of which the tightest is taken */
#define MEASUREMENTS 64	      /* at most; a host that stops the CPU all the time spoils many */
#define READS_AT_MOST 1000000 /* of a counter that is too slow, or stands still */

struct reading {
	u64 count;
	u64 tsc;   /* the middle of its bracket */
	u64 width; /* of the bracket */
};

static struct reading read_once(const struct clock_counter *c, u64 (*tsc)(void))
{
	u64 before = tsc(), count = c->read(), after = tsc();

	return (struct reading){count, before + (after - before) / 2, after - before};
}

static struct reading read_tightly(const struct clock_counter *c, u64 (*tsc)(void))
{
	struct reading best = read_once(c, tsc);

	for (unsigned i = 1; i < READINGS; i++) {
		struct reading r = read_once(c, tsc);

		if (r.width < best.width)
			best = r;
	}
	return best;
}

/* Ticks from @a to @b. */
static u64 ticks_between(const struct clock_counter *c, struct reading a, struct reading b)
{
	return (b.count - a.count) & c->mask;
}

/* What is not known of the interval from @a to @b: the brackets, and one tick at each end. */
static u64 uncertainty(struct reading a, struct reading b, u64 tsc_ticks, u64 ticks)
{
	return (a.width + b.width) / 2 + 2 * tsc_ticks / ticks;
}

/* One measurement; 0: the counter stands still. */
static u64 measure_once(const struct clock_counter *c, u64 (*tsc)(void))
{
	struct reading start = read_tightly(c, tsc);

	for (unsigned n = 0; n < READS_AT_MOST; n += READINGS) {
		struct reading end = read_tightly(c, tsc);
		u64 ticks = ticks_between(c, start, end), tsc_ticks = end.tsc - start.tsc;

		if (ticks && tsc_ticks / PRECISION >= uncertainty(start, end, tsc_ticks, ticks))
			return mul_div(tsc_ticks, c->hz, ticks);
	}
	return 0;
}

static bool agree(u64 a, u64 b)
{
	return (a > b ? a - b : b - a) < a / AGREEMENT;
}

u64 measure_hz(const struct clock_counter *c, u64 (*tsc)(void))
{
	u64 least = measure_once(c, tsc);

	for (unsigned i = 1; least && i < MEASUREMENTS; i++) {
		u64 hz = measure_once(c, tsc);

		if (hz && agree(hz, least))
			return min(hz, least);
		least = min(hz, least);
	}
	return 0;
}
