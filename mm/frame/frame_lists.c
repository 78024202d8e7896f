/*
 * The lists of free frames; see frame_lists.h.
 *
 * Locks: each list's own. Two are never held at once: what goes from one to another belongs to
 * nobody but this CPU in between. A thief passes by a list that is locked, and waits for one only
 * if it found nothing elsewhere.
 */
#include "mm/frame/frame_lists.h"

#define STEAL_MAX 8 /* batches that go to another CPU at once */
#define SLACK 8	    /* batches that a list may have more than others */

static struct frame_list {
	struct spinlock lock;
	/* lock */
	struct page *first; /* of the first batch; by next_batch */
	unsigned nr;	    /* batches */
	/* its CPU's */
	unsigned turn; /* the list that was last asked whether it has fewer */
} __aligned(64) frame_lists[MAX_CPUS] = {
	[0 ... MAX_CPUS - 1] = {.lock = SPINLOCK_INIT(LOCK_PAGE_ALLOC)},
};
static unsigned nr_lists = 1; /* in use: those of the CPUs from 0 on */

static struct frame_list *list_here(void)
{
	return &frame_lists[smp_processor_id()];
}

static void attach_batch(struct frame_list *l, struct page *batch) __must_hold(l->lock)
{
	batch->next_batch = l->first;
	l->first = batch;
	l->nr++;
}

/* At most @max batches, linked as they were; NULL: the list is empty. */
static struct page *detach_batches(struct frame_list *l, unsigned max) __must_hold(l->lock)
{
	struct page *first = l->first, *last = first;

	if (!first)
		return NULL;
	for (l->nr--; --max && last->next_batch; l->nr--)
		last = last->next_batch;
	l->first = last->next_batch;
	last->next_batch = NULL;
	return first;
}

static struct page *take_from(struct frame_list *l, unsigned max)
{
	struct page *first;

	spin_lock(&l->lock);
	first = detach_batches(l, max);
	spin_unlock(&l->lock);
	return first;
}

/* The same; NULL, too, if somebody else has the lock. */
static struct page *try_take_from(struct frame_list *l, unsigned max)
{
	struct page *first;

	if (!spin_trylock(&l->lock))
		return NULL;
	first = detach_batches(l, max);
	spin_unlock(&l->lock);
	return first;
}

/* Some batches of another CPU. Whether it has any is a peek. */
static struct page *steal(struct page *(*take)(struct frame_list *l, unsigned max))
{
	const unsigned n = READ_ONCE(nr_lists), here = smp_processor_id();
	struct page *first = NULL;

	for (unsigned i = 1; i < n && !first; i++) {
		struct frame_list *l = &frame_lists[(here + i) % n];

		if (READ_ONCE(l->first))
			first = take(l, STEAL_MAX);
	}
	return first;
}

/* What was stolen, but for its first batch, goes to this CPU's list. */
static void keep_rest(struct page *first)
{
	struct page *batch = first->next_batch, *next;
	struct frame_list *l = list_here();

	spin_lock(&l->lock);
	for (; batch; batch = next) {
		next = batch->next_batch;
		attach_batch(l, batch);
	}
	spin_unlock(&l->lock);
	first->next_batch = NULL;
}

struct page *frame_batch_take(void)
{
	struct page *first = take_from(list_here(), 1);

	if (likely(first))
		return first;
	first = steal(try_take_from);
	if (!first)
		first = steal(take_from);
	if (first)
		keep_rest(first);
	return first;
}

static void put_on(struct frame_list *l, struct page *batch)
{
	spin_lock(&l->lock);
	attach_batch(l, batch);
	spin_unlock(&l->lock);
}

/*
 * True: another CPU's list, each in its turn, had so many fewer that it has @batch now. Else who
 * gives back what many took would gather it all, and they would meet there.
 */
static bool put_elsewhere(struct frame_list *here, struct page *batch)
{
	struct frame_list *l = &frame_lists[++here->turn % READ_ONCE(nr_lists)];

	if (READ_ONCE(l->nr) + SLACK >= READ_ONCE(here->nr) || !spin_trylock(&l->lock))
		return false;
	attach_batch(l, batch);
	spin_unlock(&l->lock);
	return true;
}

void frame_batch_put(struct page *batch)
{
	struct frame_list *here = list_here();

	if (!put_elsewhere(here, batch))
		put_on(here, batch);
}

void frame_lists_share(void)
{
	struct page *batch = take_from(list_here(), ~0u), *next;

	WRITE_ONCE(nr_lists, cpumask_weight(&cpu_online_mask));
	for (unsigned i = 0; batch; batch = next, i++) {
		next = batch->next_batch;
		put_on(&frame_lists[i % nr_lists], batch);
	}
}

void frame_lists_for_each(void (*fn)(struct page *page))
{
	for (unsigned i = 0; i < nr_lists; i++) {
		struct frame_list *l = &frame_lists[i];

		spin_lock(&l->lock);
		for (struct page *batch = l->first; batch; batch = batch->next_batch)
			for (struct page *page = batch; page; page = page->next_free)
				fn(page);
		spin_unlock(&l->lock);
	}
}
