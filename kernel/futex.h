/* Futexes: wait and wake, as pthreads need them. */
#pragma once

#include "kernel/types.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define FUTEX_PRIVATE 128

void futex_init(void);
/* Sleep while *@addr == @val; 0 after a wake, -EAGAIN if it differs, -EFAULT, -EINTR at exit. */
long futex_wait(unsigned long addr, u32 val);
/* Wake at most @n waiters of @addr; how many. -EFAULT if nothing is mapped there. */
long futex_wake(unsigned long addr, u32 n);
