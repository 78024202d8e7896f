/*
 * Sets of CPUs: a bitmap of MAX_CPUS. Updates of a single bit are atomic.
 */
#pragma once

#include "kernel/lib/atomic.h"

#define MAX_CPUS 256

typedef struct {
	u64 bits[MAX_CPUS / 64];
} cpumask_t;

static inline void cpumask_set(cpumask_t *m, unsigned cpu)
{
	set_bit_atomic(m->bits, cpu);
}

static inline void cpumask_clear(cpumask_t *m, unsigned cpu)
{
	clear_bit_atomic(m->bits, cpu);
}

/* The set of @cpu alone. */
static inline cpumask_t cpumask_of(unsigned cpu)
{
	cpumask_t m = {0};

	cpumask_set(&m, cpu);
	return m;
}

static inline bool cpumask_test(const cpumask_t *m, unsigned cpu)
{
	return test_bit(m->bits, cpu);
}

/* The first CPU of the set at or after @from, or MAX_CPUS. */
static inline unsigned cpumask_next(const cpumask_t *m, unsigned from)
{
	while (from < MAX_CPUS) {
		u64 rest = READ_ONCE(m->bits[from / 64]) >> (from % 64);

		if (rest)
			return from + __builtin_ctzll(rest);
		from = ALIGN_DOWN(from, 64) + 64;
	}
	return MAX_CPUS;
}

static inline unsigned cpumask_weight(const cpumask_t *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(m->bits); i++)
		for (u64 rest = READ_ONCE(m->bits[i]); rest; rest &= rest - 1)
			n++;
	return n;
}

/* True if @m has a member that @known has not. */
static inline bool cpumask_has_more(const cpumask_t *m, const cpumask_t *known)
{
	static_assert(ARRAY_SIZE(m->bits) == 4, "all words, without a loop");
	return (READ_ONCE(m->bits[0]) & ~known->bits[0]) |
	       (READ_ONCE(m->bits[1]) & ~known->bits[1]) |
	       (READ_ONCE(m->bits[2]) & ~known->bits[2]) |
	       (READ_ONCE(m->bits[3]) & ~known->bits[3]);
}

/* True if there is another member than @cpu, be it one or not. */
static inline bool cpumask_has_others(const cpumask_t *m, unsigned cpu)
{
	u64 others[] = {READ_ONCE(m->bits[0]), READ_ONCE(m->bits[1]), READ_ONCE(m->bits[2]),
			READ_ONCE(m->bits[3])};

	static_assert(ARRAY_SIZE(others) == ARRAY_SIZE(m->bits), "all words, without a loop");
	others[cpu / 64] &= ~BIT(cpu % 64);
	return others[0] | others[1] | others[2] | others[3];
}

#define for_each_cpu_in(cpu, mask)                                                                 \
	for (unsigned cpu = cpumask_next(mask, 0); cpu < MAX_CPUS;                                 \
	     cpu = cpumask_next(mask, cpu + 1))

/* CPUs that take interrupts and run tasks. Bits are only ever added, by the boot CPU. */
extern cpumask_t cpu_online_mask;
#define for_each_online_cpu(cpu) for_each_cpu_in(cpu, &cpu_online_mask)
