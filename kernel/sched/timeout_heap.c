/*
 * The leftist heap of time-outs; see timeout_heap.h.
 *
 * Two heaps are merged along their right spines, each of at most log2(n + 1) nodes. Where a
 * subtree's rank falls, its parent's rank may fall too; each rank that changes on the way up is
 * higher than the one before, so that way is as short.
 */
#include "kernel/sched/timeout_heap.h"

static unsigned rank_of(const struct timeout_node *n)
{
	return n ? n->rank : 0;
}

static bool is_before(struct timeout_heap *h, const struct timeout_node *a,
		      const struct timeout_node *b)
{
#ifdef CONFIG_DEBUG
	h->comparisons++;
#else
	(void)h;
#endif
	return a->deadline != b->deadline ? a->deadline < b->deadline : a->order < b->order;
}

/* The shorter child goes to the right; whether the rank has changed. */
static bool restore(struct timeout_node *n)
{
	unsigned rank;

	if (rank_of(n->left) < rank_of(n->right)) {
		struct timeout_node *left = n->left;

		n->left = n->right;
		n->right = left;
	}
	rank = rank_of(n->right) + 1;
	if (n->rank == rank)
		return false;
	n->rank = rank;
	return true;
}

/* Both may be NULL. The result has no parent. */
static struct timeout_node *merge(struct timeout_heap *h, struct timeout_node *a,
				  struct timeout_node *b)
{
	struct timeout_node *root = NULL, *parent = NULL, **link = &root;

	while (a && b) {
		if (is_before(h, b, a)) {
			struct timeout_node *first = b;

			b = a;
			a = first;
		}
		*link = a;
		a->parent = parent;
		parent = a;
		link = &a->right;
		a = a->right;
	}
	*link = a ? a : b;
	if (*link)
		(*link)->parent = parent;
	for (; parent; parent = parent->parent)
		restore(parent);
	return root;
}

void timeout_heap_add(struct timeout_heap *h, struct timeout_node *n)
{
	n->order = h->next_order++;
	n->parent = n->left = n->right = NULL;
	n->rank = 1;
	h->root = merge(h, h->root, n);
}

void timeout_heap_remove(struct timeout_heap *h, struct timeout_node *n)
{
	struct timeout_node *parent = n->parent, *rest = merge(h, n->left, n->right);

	if (rest)
		rest->parent = parent;
	if (!parent)
		h->root = rest;
	else if (parent->left == n)
		parent->left = rest;
	else
		parent->right = rest;
	while (parent && restore(parent))
		parent = parent->parent;
	n->rank = 0;
}
