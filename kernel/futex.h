/* Futexes: wait, wake and requeue, as pthreads need them. */
#pragma once

#include "kernel/types.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_REQUEUE 3
#define FUTEX_WAIT_BITSET 9
#define FUTEX_PRIVATE 128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_BITSET_ANY (~0U)

void futex_init(void);
/*
 * Sleep while *@addr == @val, until @deadline (kernel/timeout.h) at most: 0 after a wake, -EAGAIN
 * if it differs, -ETIMEDOUT, -EFAULT, -EINTR at exit.
 */
long futex_wait(unsigned long addr, u32 val, u64 deadline);
/* Wake at most @n waiters of @addr; how many. -EFAULT if nothing is mapped there. */
long futex_wake(unsigned long addr, u32 n);
/* The same, and let at most @n_move of those that are left wait at @to; how many in both ways. */
long futex_requeue(unsigned long addr, u32 n, unsigned long to, u32 n_move);
