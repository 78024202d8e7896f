/*
 * The set of VMAs; see vma.h. Treap priorities are a hash of the start address: the shape of the
 * tree, and so every cost, is the same in each run.
 */
#include "mm/vma/vma.h"

#include "kernel/debug/panic.h"

struct vma *vma_find(const struct vma_set *s, unsigned long addr)
{
	struct vma *v = s->root, *best = NULL;

	while (v) {
		if (v->end > addr) {
			best = v;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	return best;
}

struct vma *vma_find_below(const struct vma_set *s, unsigned long addr)
{
	struct vma *v = s->root, *best = NULL;

	while (v) {
		if (v->start < addr) {
			best = v;
			v = v->right;
		} else {
			v = v->left;
		}
	}
	return best;
}

/* Part @t into what starts below @key and the rest. */
static void split_tree(struct vma *t, unsigned long key, struct vma **below, struct vma **rest)
{
	while (t) {
		if (t->start < key) {
			*below = t;
			below = &t->right;
			t = t->right;
		} else {
			*rest = t;
			rest = &t->left;
			t = t->left;
		}
	}
	*below = *rest = NULL;
}

/* Join two trees, all of @a below all of @b. */
static struct vma *join_trees(struct vma *a, struct vma *b)
{
	struct vma *root = NULL, **link = &root;

	while (a && b) {
		if (a->priority > b->priority) {
			*link = a;
			link = &a->right;
			a = a->right;
		} else {
			*link = b;
			link = &b->left;
			b = b->left;
		}
	}
	*link = a ? a : b;
	return root;
}

static u32 treap_priority(const struct vma *v)
{
	ASSERT(v->start < v->end);
	return (v->start >> PAGE_SHIFT) * 0x9e3779b1u;
}

/* Into the list, between @prev and @next, either of which may be missing. */
static void link_between(struct vma_set *s, struct vma *v, struct vma *prev, struct vma *next)
{
	v->prev = prev;
	v->next = next;
	if (prev)
		prev->next = v;
	else
		s->first = v;
	if (next)
		next->prev = v;
	s->count++;
}

void vma_insert(struct vma_set *s, struct vma *v)
{
	struct vma **link = &s->root, *prev = vma_find_below(s, v->start);

	v->priority = treap_priority(v);
	while (*link && (*link)->priority >= v->priority)
		link = v->start < (*link)->start ? &(*link)->left : &(*link)->right;
	split_tree(*link, v->start, &v->left, &v->right);
	*link = v;
	link_between(s, v, prev, prev ? prev->next : s->first);
}

void vma_append(struct vma_set *s, struct vma *v, struct vma *last)
{
	struct vma **link = &s->root;

	ASSERT(last ? !last->next && last->end <= v->start : !s->first);
	v->priority = treap_priority(v);
	while (*link && (*link)->priority >= v->priority)
		link = &(*link)->right;
	v->left = *link;
	v->right = NULL;
	*link = v;
	link_between(s, v, last, NULL);
}

void vma_remove(struct vma_set *s, struct vma *v)
{
	struct vma **link = &s->root;

	while (*link != v)
		link = v->start < (*link)->start ? &(*link)->left : &(*link)->right;
	*link = join_trees(v->left, v->right);

	if (v->prev)
		v->prev->next = v->next;
	else
		s->first = v->next;
	if (v->next)
		v->next->prev = v->prev;
	s->count--;
}

bool vma_covered(const struct vma_set *s, unsigned long start, unsigned long end)
{
	for (struct vma *v = vma_find(s, start); v && v->start <= start; v = v->next) {
		if (v->end >= end)
			return true;
		start = v->end;
	}
	return false;
}

bool vma_mergeable(const struct vma *a, const struct vma *b)
{
	if (a->end != b->start || a->flags != b->flags || a->shmem != b->shmem)
		return false;
	if (a->shmem || (a->flags & VM_PFNMAP))
		return a->pgoff + ((a->end - a->start) >> PAGE_SHIFT) == b->pgoff;
	return true;
}

unsigned long vma_find_gap(const struct vma_set *s, unsigned long len, unsigned long floor,
			   unsigned long ceiling)
{
	struct vma *v = vma_find_below(s, ceiling);

	for (; len <= ceiling && ceiling - len >= floor; v = v->prev) {
		if (!v || v->end <= ceiling - len)
			return ceiling - len;
		ceiling = min(ceiling, vma_start_gap(v));
	}
	return 0;
}
