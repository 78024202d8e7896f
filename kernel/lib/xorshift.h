/*
 * Pseudo-random streams: xorshift64* (Vigna, 2016), seeded through splitmix64. Pure; the kernel,
 * the ring-3 programs and the host tests all use it, so that one printed seed decides everything.
 */
#pragma once

#include "kernel/lib/types.h"

struct rng {
	u64 state;
};

/* Distinct @stream numbers give independent streams of the same seed. */
static inline struct rng rng_stream(u64 seed, u64 stream)
{
	u64 z = seed + (stream + 1) * 0x9e3779b97f4a7c15UL; /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	z ^= z >> 31;
	return (struct rng){z ? z : 1};
}

static inline u64 rng_next(struct rng *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * 0x2545f4914f6cdd1dUL;
}

/* Uniform in [0, n); n > 0. */
static inline u64 rng_below(struct rng *r, u64 n)
{
	return ((unsigned __int128)rng_next(r) * n) >> 64;
}
