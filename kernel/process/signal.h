/*
 * Signals, as far as they exist: one is ignored, or ends the process; or it waits, being blocked.
 * Numbers, arguments and errors are Linux's.
 */
#pragma once

#include "kernel/lib/types.h"

/* The caller's mask: a signal that it blocks waits until it does no more. -EINVAL, -EFAULT. */
long do_rt_sigprocmask(int how, unsigned long set, unsigned long old, size_t size);
/* There are SIG_DFL and SIG_IGN, and -ENOSYS for a handler. */
long do_rt_sigaction(int sig, unsigned long action, unsigned long old, size_t size);
/* What waits for the caller. */
long do_rt_sigpending(unsigned long set, size_t size);
/* @pid: of the process that the thread must belong to; 0: any. -EINVAL, -ESRCH. */
long do_tkill(int pid, int tid, int sig);
/*
 * kill(2): @pid is a process, 0 the caller's group, below -1 a group, -1 all but the caller and the
 * first. -ESRCH, -EINVAL; -ENOSYS for a signal that stops.
 */
long do_kill(int pid, int sig);
