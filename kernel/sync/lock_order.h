/*
 * The lock order, as numbers: a task may take a lock only of a higher class than every lock it
 * holds. Debug builds enforce it at each acquisition (kernel/sync/lockdep.c), so that this file and
 * the code cannot drift apart.
 *
 * irq says who takes the lock: NEVER in an interrupt, or ALSO in one (then always with interrupts
 * off). A PTE-page lock may be held twice, old before new in mremap and parent before child in
 * fork, and a futex bucket, the lower address first; the second is taken with subclass 1 and counts
 * half a step higher.
 */
#pragma once

#include "kernel/lib/compiler.h"

/* clang-format off */
/*         name          order  irq     what it guards */
#define LOCK_CLASSES(X)                                                                            \
	X(LOCK_MMAP,        10, NEVER, "mmap_lock: the layout of an mm")                           \
	X(LOCK_VMA,         20, NEVER, "a VMA, for a page fault that goes past mmap_lock")         \
	X(LOCK_PAGE_TABLE,  30, NEVER, "the upper levels of an mm")                                \
	X(LOCK_PTE,         40, NEVER, "a PTE page, and the rights in the L2 entry that links it") \
	X(LOCK_SHMEM,       45, NEVER, "the pages of a shared object")                             \
	X(LOCK_FUTEX,       50, NEVER, "a futex hash bucket")                                      \
	X(LOCK_PROCESS,     55, NEVER, "the tree of processes")                                    \
	X(LOCK_TASK_LIST,   58, NEVER, "the list of all tasks")                                    \
	X(LOCK_MM_LIST,     59, NEVER, "the list of all address spaces")                           \
	X(LOCK_KSTACK,      60, NEVER, "the slots of the kernel stacks")                           \
	X(LOCK_TABLE_RESERVE, 61, NEVER, "empty page tables that wait for their next use")         \
	X(LOCK_TID,         63, NEVER, "the numbers of tasks")                                     \
	X(LOCK_SLAB,        65, NEVER, "an object cache")                                          \
	X(LOCK_PAGE_ALLOC,  70, NEVER, "a list of free frames")                                    \
	X(LOCK_WAIT,        75, NEVER, "a wait queue")                                             \
	X(LOCK_TEST,        78, NEVER, "locks of the lock tests")                                  \
	X(LOCK_TIMEOUT,     79, ALSO, "the sleepers of a CPU")                         \
	X(LOCK_RQ,          80, ALSO, "a run queue")                                               \
	X(LOCK_TEST_IRQ,    85, ALSO, "locks of the lock tests, taken in interrupts")              \
	X(LOCK_HYPERVISOR,  87, ALSO, "the books of the software hypervisor")                      \
	X(LOCK_CALL,        90, ALSO, "cross-calls")
/* clang-format on */

enum lock_class {
#define X(name, order, irq, what) name,
	LOCK_CLASSES(X)
#undef X
		NR_LOCK_CLASSES,
};

/* For reports; "?" if there is no such class. */
const char *lock_class_name(enum lock_class class) __pure;
/* Taken with spin_lock_preemptible(), and by nothing else. */
static inline bool lock_class_is_preemptible(enum lock_class class)
{
	return class == LOCK_PTE;
}
