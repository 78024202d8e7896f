/*
 * Somebody who comes second: a task on CPU 1 acts while the case, on CPU 0, holds the lock that it
 * needs. The case sees it wait, does what it does not expect, and lets it go on.
 */
#pragma once

#include "kernel/sync/spinlock.h"
#include "tests/ktest.h"

/*
 * Prepare the task; it acts when late_go() says so. False: there is one CPU, the case is skipped.
 */
bool late_begin(struct ktest *t, void (*act)(void));
void late_go(void);
/* Until the task waits for @lock, which the case holds; or ends, if it needs no lock. */
void late_await(struct spinlock *lock);
/* Until it has waited for it, had it, and given it back; nobody else has it in between. */
void late_let_pass(struct spinlock *lock) __must_hold(lock);
/* Until the task has ended. */
void late_end(void);
