/*
 * What tasks that do not run wait for, for the report of a hang. In debug builds each kind of sleep
 * notes its object before the task goes to sleep; the others show by their backtraces.
 */
#pragma once

#include "kernel/lib/types.h"

struct spinlock;

#ifdef CONFIG_DEBUG

struct task_wait {
	const char *what; /* NULL: nothing was noted */
	unsigned long object;
	const struct spinlock *lock; /* whose owner is of interest, or NULL */
	u64 since;		     /* clock_ns() */
};

/* The current task is about to wait for the @what at @object; NULL: the wait has ended. */
void note_wait(const char *what, unsigned long object);
/* The same for a lock, whose owner the report names. */
void note_wait_for_lock(const struct spinlock *lock);

#else

struct task_wait {
};

static inline void note_wait(const char *what __unused, unsigned long object __unused) {}
static inline void note_wait_for_lock(const struct spinlock *lock __unused) {}

#endif
