/*
 * Debug checks of locks: who holds what, in which order, and whether interrupts may come in
 * between. In release builds everything here is empty.
 */
#pragma once

#include "kernel/sync/spinlock.h"

#define MAX_HELD_LOCKS 12

struct held_lock {
	const void *lock;
	u8 class, subclass;
};

/* What this task holds, innermost last; in interrupts, what the interrupted task holds too. */
struct held_locks {
	unsigned nr;
	struct held_lock lock[MAX_HELD_LOCKS];
};

#ifdef CONFIG_DEBUG
/* For locks that are no spinlocks (mmap_lock). */
void lockdep_push(const void *lock, enum lock_class class, unsigned subclass);
/* This task gives @lock back; panics if it does not hold it. */
void lockdep_pop(const void *lock, enum lock_class class);
/* True if this task holds @lock. */
bool lockdep_is_held(const void *lock);
/* How many locks of @class this task holds. */
unsigned lockdep_held_of_class(enum lock_class class);
/* Panics, and names them, if the task holds any lock. @where completes "... with a lock held". */
void lockdep_assert_none_held(const char *where);
#else
static inline void lockdep_push(const void *l __unused, enum lock_class c __unused,
				unsigned s __unused)
{
}
static inline void lockdep_pop(const void *l __unused, enum lock_class c __unused) {}
static inline void lockdep_assert_none_held(const char *where __unused) {}
#endif

#ifdef CONFIG_DEBUG
#define lockdep_assert_held(lock) BUG_ON(!lockdep_is_held(lock))
#define lockdep_assert_held_class(class) BUG_ON(!lockdep_held_of_class(class))
#else
#define lockdep_assert_held(lock) ((void)(lock))
#define lockdep_assert_held_class(class) ((void)(class))
#endif
