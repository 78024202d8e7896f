/*
 * Atomic counters and bits, thin over the compiler's builtins. All read-modify-write operations are
 * full barriers, as LOCK-prefixed instructions are (AMD APM vol. 2, 7.1).
 */
#pragma once

#include "kernel/lib/types.h"

typedef struct {
	int v;
} atomic_t;

typedef struct {
	u64 v;
} atomic64_t;

#define atomic_read(a) READ_ONCE((a)->v)
#define atomic_set(a, val) WRITE_ONCE((a)->v, val)
#define atomic_add_return(a, n) __atomic_add_fetch(&(a)->v, n, __ATOMIC_SEQ_CST)
#define atomic_inc_return(a) atomic_add_return(a, 1)
#define atomic_dec_return(a) __atomic_sub_fetch(&(a)->v, 1, __ATOMIC_SEQ_CST)
#define atomic_inc(a) ((void)atomic_inc_return(a))
#define atomic_dec(a) ((void)atomic_dec_return(a))
#define atomic_dec_and_test(a) (atomic_dec_return(a) == 0)
/* On failure *oldp holds what was found. */
#define try_cmpxchg(p, oldp, new)                                                                  \
	__atomic_compare_exchange_n(p, oldp, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define xchg(p, val) __atomic_exchange_n(p, val, __ATOMIC_SEQ_CST)

static inline void set_bit_atomic(u64 *word, unsigned bit)
{
	__atomic_or_fetch(&word[bit / 64], BIT(bit % 64), __ATOMIC_SEQ_CST);
}

static inline void clear_bit_atomic(u64 *word, unsigned bit)
{
	__atomic_and_fetch(&word[bit / 64], ~BIT(bit % 64), __ATOMIC_SEQ_CST);
}

static inline bool test_bit(const u64 *word, unsigned bit)
{
	return READ_ONCE(word[bit / 64]) & BIT(bit % 64);
}
