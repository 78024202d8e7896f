/*
 * Signals, as far as they exist: a thread sends one to itself, and the default action is all that
 * ever happens. Numbers, arguments and errors are Linux's.
 */
#pragma once

#include "kernel/types.h"

/* The caller's mask: a signal that it blocks waits until it does no more. -EINVAL, -EFAULT. */
long do_rt_sigprocmask(int how, unsigned long set, unsigned long old, size_t size);
/* There is SIG_DFL, and -ENOSYS for everything else. */
long do_rt_sigaction(int sig, unsigned long action, unsigned long old, size_t size);
/* To the caller itself; may not return. -ENOSYS for any other thread. */
long do_tkill(int tid, int sig);
