/*
 * Suite `timeout_heap`: the heap of time-outs against a model, here and on the host.
 *
 * Oracle: an array that is searched from end to end for what must come first, equal deadlines in
 * the order of their arrival; and a count of comparisons, since what the heap does it does with
 * interrupts off.
 */
#include "kernel/sched/timeout_heap.h"

#include "tests/ktest.h"

#define NODES 200
#define STEPS 4000
#define MANY 3000
#define DEADLINES 40 /* few, so that many are equal */

static struct timeout_node pool[MANY];
static struct timeout_heap heap;

static void start(void)
{
	heap = (struct timeout_heap){0};
	for (unsigned i = 0; i < MANY; i++)
		pool[i] = (struct timeout_node){0};
}

/* What must be first, in the model: of those that are in the heap. */
static struct timeout_node *first_of_pool(unsigned n)
{
	struct timeout_node *first = NULL;

	for (struct timeout_node *p = pool; p < pool + n; p++)
		if (timeout_node_is_queued(p) &&
		    (!first || p->deadline < first->deadline ||
		     (p->deadline == first->deadline && p->order < first->order)))
			first = p;
	return first;
}

static void against_a_model(struct ktest *t)
{
	start();
	for (unsigned step = 0; step < STEPS; step++) {
		struct timeout_node *n = &pool[rng_below(&t->rng, NODES)];

		if (timeout_node_is_queued(n)) {
			timeout_heap_remove(&heap, n);
		} else {
			n->deadline = rng_below(&t->rng, DEADLINES);
			timeout_heap_add(&heap, n);
		}
		KEXPECT(t, timeout_heap_first(&heap) == first_of_pool(NODES));
	}
}

static void equal_deadlines_keep_their_order(struct ktest *t)
{
	start();
	for (unsigned i = 0; i < NODES; i++) {
		pool[i].deadline = 7;
		timeout_heap_add(&heap, &pool[i]);
	}
	for (unsigned i = 0; i < NODES; i++) {
		KEXPECT(t, timeout_heap_first(&heap) == &pool[i]);
		timeout_heap_remove(&heap, &pool[i]);
	}
	KEXPECT(t, !timeout_heap_first(&heap));
}

#ifdef CONFIG_DEBUG
/* 2 log2(3000 + 1), rounded up: what the longest two right spines may have. */
#define MOST_COMPARISONS 24

enum order { RISING, FALLING, RANDOM, NR_ORDERS };

static u64 deadline_of(struct ktest *t, enum order order, unsigned i)
{
	return order == RISING ? i : order == FALLING ? MANY - i : rng_below(&t->rng, MANY);
}

/* Whatever the order in which they come and go, no single step is long. */
static void no_step_is_long(struct ktest *t)
{
	for (enum order order = RISING; order < NR_ORDERS; order++) {
		u64 most = 0, before;

		start();
		for (unsigned i = 0; i < MANY; i++) {
			pool[i].deadline = deadline_of(t, order, i);
			before = heap.comparisons;
			timeout_heap_add(&heap, &pool[i]);
			most = max(most, heap.comparisons - before);
		}
		for (unsigned i = 0; i < MANY; i++) {
			struct timeout_node *n = &pool[rng_below(&t->rng, MANY)];

			if (!timeout_node_is_queued(n))
				n = timeout_heap_first(&heap);
			before = heap.comparisons;
			timeout_heap_remove(&heap, n);
			most = max(most, heap.comparisons - before);
		}
		KEXPECT(t, most > 0 && most <= MOST_COMPARISONS);
		KEXPECT(t, !timeout_heap_first(&heap));
	}
}
#endif

static const struct ktest_case cases[] = {
	{"against_a_model", against_a_model},
	{"equal_deadlines_keep_their_order", equal_deadlines_keep_their_order},
#ifdef CONFIG_DEBUG
	{"no_step_is_long", no_step_is_long},
#endif
};
KTEST_SUITE(timeout_heap_suite, "timeout_heap", "the heap of time-outs against a model", true,
	    cases);
