/*
 * Blocks of 2 MiB, which may become huge pages: what thp and khugepaged do with theirs when they
 * have become one.
 */
#pragma once

#include "tests/user/judge/linux.h"

#define BLOCK (2UL << 20)
#define BLOCK_PAGES (BLOCK / PAGE_SIZE)
#define MADV_HUGEPAGE 14
#define MADV_NOHUGEPAGE 15

/* The first whole block of room for @n of them. */
static inline unsigned long map_blocks(unsigned n)
{
	unsigned long at = must_map((n + 1) * BLOCK, MAP_PRIVATE);

	return (at + BLOCK - 1) & ~(BLOCK - 1);
}

static inline void stamp_block(unsigned long block, u64 generation)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++)
		stamp_write(block + p * PAGE_SIZE, block + p * PAGE_SIZE, generation);
}

/* All pages have @generation's stamps, but for @n from @first on, which are zero. */
static inline void check_block(unsigned long block, u64 generation, unsigned first, unsigned n)
{
	for (unsigned p = 0; p < BLOCK_PAGES; p++) {
		unsigned long at = block + p * PAGE_SIZE;

		if (p >= first && p < first + n)
			stamp_check_zero(at);
		else
			stamp_check(at, at, generation, 0, 0);
	}
}

/* Change the rights of some pages of @block, which is of @generation, or drop them. */
static inline void split_block(unsigned long block, u64 generation, struct rng *rng)
{
	unsigned n = 1 + rng_below(rng, BLOCK_PAGES / 2);
	unsigned first = rng_below(rng, BLOCK_PAGES - n);
	unsigned long at = block + first * PAGE_SIZE;

	if (rng_below(rng, 2)) {
		CHECK(!sys_mprotect(at, n * PAGE_SIZE, PROT_READ), "mprotect");
		check_block(block, generation, 0, 0);
		CHECK(!sys_mprotect(at, n * PAGE_SIZE, PROT_RW), "mprotect");
		check_block(block, generation, 0, 0);
	} else {
		CHECK(!sys_madvise(at, n * PAGE_SIZE, MADV_DONTNEED), "madvise");
		check_block(block, generation, first, n);
	}
}
