/*
 * A leftist heap of points of time: the earliest is at its root. The nodes are their owners' and
 * nothing is allocated. Adding, taking the first and removing any node take at most some
 * 2 log2(n) comparisons each, in the worst case and not only on average: it is done with interrupts
 * off.
 *
 * Of each node the right subtree has the shorter way to a leaf. `rank` is the number of nodes on
 * that way, so a node of rank r stands above at least 2^r - 1 nodes (Crane, 1972; Knuth, TAOCP 3,
 * 5.2.3). Equal deadlines keep the order in which they were added. The caller owns the locking.
 */
#pragma once

#include "kernel/lib/types.h"

struct timeout_node {
	u64 deadline, order;
	struct timeout_node *parent, *left, *right;
	unsigned rank; /* 0: in no heap */
};

struct timeout_heap {
	struct timeout_node *root;
	u64 next_order;
	u64 comparisons; /* debug builds */
};

static inline struct timeout_node *timeout_heap_first(const struct timeout_heap *h)
{
	return h->root;
}

static inline bool timeout_node_is_queued(const struct timeout_node *n)
{
	return n->rank;
}

/* Add @n, which is in no heap and whose deadline is set. */
void timeout_heap_add(struct timeout_heap *h, struct timeout_node *n);
/* Remove @n, which is in @h, wherever it stands. */
void timeout_heap_remove(struct timeout_heap *h, struct timeout_node *n);
