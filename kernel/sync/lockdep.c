/*
 * Lock checks of debug builds: owner, order, and interrupt safety.
 *
 * Each task carries the list of what it holds. The rule is that of lock_order.h: order * 2 +
 * subclass must grow along the list. A class marked ALSO must be taken with interrupts off
 * everywhere, because an interrupt takes it too; a class marked NEVER must not be taken in an
 * interrupt.
 *
 * No locks: a task's list is touched only by the task and by interrupts above it, which leave it as
 * they found it.
 */
#include "kernel/sync/lockdep.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/sched/task.h"

enum irq_use { NEVER, ALSO };

static const struct {
	const char *name, *what;
	u8 order;
	enum irq_use irq;
} classes[] = {
#define X(name, order, irq, what) [name] = {#name, what, order, irq},
	LOCK_CLASSES(X)
#undef X
};

const char *lock_class_name(enum lock_class class)
{
	return class < NR_LOCK_CLASSES ? classes[class].name : "?";
}

#ifdef CONFIG_DEBUG

static void check_context(enum lock_class class)
{
	if (classes[class].irq == NEVER && in_interrupt())
		panic("lock order: %s (%s) taken in an interrupt", classes[class].name,
		      classes[class].what);
	if (classes[class].irq == ALSO && !irqs_disabled())
		panic("lock order: %s (%s) is taken in interrupts, and here with interrupts on",
		      classes[class].name, classes[class].what);
}

/*
 * An interrupt, and the switch that it may lead to, push and pop locks of their own on this very
 * list, at any moment. So a slot is taken first and filled then; one without a lock does not count,
 * and a slot that is given back is emptied first.
 */
void lockdep_push(const void *lock, enum lock_class class, unsigned subclass)
{
	struct held_locks *held = &current->held;
	unsigned rank = classes[class].order * 2 + subclass;
	struct held_lock *slot;

	check_context(class);
	for (unsigned i = 0; i < held->nr; i++) {
		const struct held_lock *h = &held->lock[i];

		if (!h->lock)
			continue;
		if (h->lock == lock)
			panic("lock order: %s at %p taken twice by one task", classes[class].name,
			      lock);
		if (classes[h->class].order * 2u + h->subclass >= rank)
			panic("lock order: %s (order %u.%u) taken while %s (order %u.%u) is held",
			      classes[class].name, classes[class].order, subclass,
			      classes[h->class].name, classes[h->class].order, h->subclass);
	}
	BUG_ON(held->nr == MAX_HELD_LOCKS);
	slot = &held->lock[held->nr++];
	barrier();
	slot->class = class;
	slot->subclass = subclass;
	barrier();
	slot->lock = lock;
}

void lockdep_pop(const void *lock, enum lock_class class)
{
	struct held_locks *held = &current->held;

	for (unsigned i = held->nr; i-- > 0;) {
		if (held->lock[i].lock != lock)
			continue;
		for (; i + 1 < held->nr; i++)
			held->lock[i] = held->lock[i + 1];
		barrier();
		held->lock[i].lock = NULL;
		barrier();
		held->nr--;
		return;
	}
	panic("lock order: %s at %p released by a task that does not hold it", classes[class].name,
	      lock);
}

bool lockdep_is_held(const void *lock)
{
	for (unsigned i = 0; i < current->held.nr; i++)
		if (current->held.lock[i].lock == lock)
			return true;
	return false;
}

unsigned lockdep_held_of_class(enum lock_class class)
{
	unsigned n = 0;

	for (unsigned i = 0; i < current->held.nr; i++)
		n += current->held.lock[i].lock && current->held.lock[i].class == class;
	return n;
}

void lockdep_assert_none_held(const char *where)
{
	if (current->held.nr)
		panic("%s with %s held", where, classes[current->held.lock[0].class].name);
}

void lockdep_acquire(struct spinlock *l, unsigned subclass)
{
	lockdep_push(l, l->class, subclass);
}

void lockdep_release(struct spinlock *l)
{
	if (l->owner != current)
		panic("lock order: %s at %p released by %s, owned by %s", classes[l->class].name, l,
		      current->name, l->owner ? l->owner->name : "nobody");
	l->owner = NULL;
	lockdep_pop(l, l->class);
}

#endif

static void report_locks(const struct panic_context *unused __unused)
{
	for (unsigned i = 0; i < current->held.nr; i++)
		printk("# holds %s at %p\n", lock_class_name(current->held.lock[i].class),
		       current->held.lock[i].lock);
}
PANIC_REPORT(30, report_locks);
