/* Futexes: wait, wake, requeue and wake-op, all but those with priority inheritance. */
#pragma once

#include "kernel/lib/types.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_CMP_REQUEUE 4
#define FUTEX_WAKE_OP 5
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAKE_BITSET 10
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_BITSET_ANY (~0U)

/*
 * A futex, as a call names it. A @private one is known by its mm and address, whatever is mapped
 * there; it is never the same as one that is not private.
 */
struct futex {
	unsigned long addr;
	bool private;
};

struct shmem;
struct task;

/* At boot, before the first process. */
void futex_init(void);
/*
 * Sleep while the word of @f is @val, until @deadline (kernel/sched/timeout.h) at most: 0 after a
 * wake that has a bit of @bitset, -EAGAIN if the word differs, -ETIMEDOUT, -EFAULT, -EINTR at exit.
 */
long futex_wait_bits(struct futex f, u32 val, u32 bitset, u64 deadline);
/*
 * Wake at most @n waiters that have a bit of @bitset; how many. -EFAULT if nothing is mapped there.
 */
long futex_wake_bits(struct futex f, u32 n, u32 bitset);
/*
 * Wake at most @n waiters of @from, and let at most @n_move of those that are left wait at @to; how
 * many in both ways. @expected: -EAGAIN unless the word of @from is that; NULL: whatever it is.
 */
long futex_requeue_if(struct futex from, u32 n, struct futex to, u32 n_move, const u32 *expected);
/*
 * Change the word of @f2 as @op says (futex(2), FUTEX_WAKE_OP), wake at most @n waiters of @f and,
 * if the word was what @op asks for, at most @n2 of @f2; how many. -ENOSYS for an unknown @op; of a
 * comparison that is unknown the word has changed by then.
 */
long futex_wake_op(struct futex f, u32 n, struct futex f2, u32 n2, u32 op);

/* Of futexes that are not private. */
static inline long futex_wait(unsigned long addr, u32 val, u64 deadline)
{
	return futex_wait_bits((struct futex){addr, false}, val, FUTEX_BITSET_ANY, deadline);
}
static inline long futex_wake(unsigned long addr, u32 n)
{
	return futex_wake_bits((struct futex){addr, false}, n, FUTEX_BITSET_ANY);
}
static inline long futex_requeue(unsigned long addr, u32 n, unsigned long to, u32 n_move)
{
	return futex_requeue_if((struct futex){addr, false}, n, (struct futex){to, false}, n_move,
				NULL);
}
