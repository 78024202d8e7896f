/*
 * Suite `vma`: the set of VMAs against a simple model.
 *
 * Oracle: an array with one byte for each page of a small address space. Random mappings are
 * inserted and removed; after each step every question to the set is answered from the array too.
 * The host tests run this file under sanitizers.
 */
#include "kernel/lib/string.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"

#define PAGES 256
#define BASE 0x100000UL
#define STEPS 4000

static struct vma pool[PAGES], copies[PAGES];
static u8 model[PAGES]; /* 0: free; else the index of the VMA in the pool, plus 1 */
static struct vma_set set;

static unsigned long page_addr(unsigned p)
{
	return BASE + p * PAGE_SIZE;
}

static void check_find(struct ktest *t, unsigned p)
{
	unsigned up = p, down = p;
	const struct vma *v = vma_find(&set, page_addr(p)), *below;

	while (up < PAGES && !model[up])
		up++;
	KEXPECT(t, v == (up < PAGES ? &pool[model[up] - 1] : NULL));
	/* The last VMA that starts below: the one that holds the page before, or any lower. */
	while (down > 0 && !model[down - 1])
		down--;
	below = vma_find_below(&set, page_addr(p));
	KEXPECT(t, below == (down ? &pool[model[down - 1] - 1] : NULL));
}

static void check_covered(struct ktest *t, unsigned a, unsigned b)
{
	bool covered = true;

	for (unsigned p = a; p < b; p++)
		covered &= model[p] != 0;
	KEXPECT_EQ(t, vma_covered(&set, page_addr(a), page_addr(b)), covered);
}

static void check_gap(struct ktest *t, unsigned len)
{
	unsigned long expected = 0;

	for (unsigned p = 0; p + len <= PAGES; p++) {
		bool free = true;

		for (unsigned i = 0; i < len; i++)
			free &= !model[p + i];
		if (free)
			expected = page_addr(p);
	}
	KEXPECT_EQ(t, vma_find_gap(&set, len * PAGE_SIZE, BASE, page_addr(PAGES)), expected);
}

static void check_list(struct ktest *t)
{
	const struct vma *prev = NULL;
	unsigned n = 0;

	for (const struct vma *v = set.first; v; prev = v, v = v->next, n++) {
		KEXPECT(t, v->prev == prev);
		KEXPECT(t, !prev || prev->end <= v->start);
	}
	KEXPECT_EQ(t, n, set.count);
}

/* The same tree, member by member. */
static bool is_alike(const struct vma *a, const struct vma *b)
{
	if (!a || !b)
		return a == b;
	return a->start == b->start && is_alike(a->left, b->left) && is_alike(a->right, b->right);
}

/* A copy that is made upwards, as fork makes it, is what insertion in any order has made. */
static void check_copy(struct ktest *t)
{
	struct vma_set upwards = {0};
	struct vma *last = NULL;

	for (const struct vma *v = set.first; v; v = v->next) {
		struct vma *copy = &copies[upwards.count];

		*copy = (struct vma){.start = v->start, .end = v->end};
		vma_append(&upwards, copy, last);
		KEXPECT(t, copy->prev == last && !copy->next);
		KEXPECT(t, !last || last->next == copy);
		last = copy;
	}
	KEXPECT_EQ(t, upwards.count, set.count);
	KEXPECT(t, upwards.first == (set.first ? copies : NULL));
	KEXPECT(t, is_alike(upwards.root, set.root));
}

static void insert_random(struct ktest *t)
{
	unsigned p = rng_below(&t->rng, PAGES), n = 1 + rng_below(&t->rng, 12), slot = 0;

	for (unsigned i = p; i < p + n; i++)
		if (i >= PAGES || model[i])
			return;
	while (pool[slot].end)
		slot++;
	pool[slot] = (struct vma){.start = page_addr(p), .end = page_addr(p + n)};
	vma_insert(&set, &pool[slot]);
	memset(model + p, slot + 1, n);
}

static void remove_random(struct ktest *t)
{
	unsigned p = rng_below(&t->rng, PAGES), slot = model[p] - 1u;

	if (!model[p])
		return;
	vma_remove(&set, &pool[slot]);
	pool[slot] = (struct vma){0};
	for (unsigned i = 0; i < PAGES; i++)
		if (model[i] == slot + 1)
			model[i] = 0;
}

static void against_a_model(struct ktest *t)
{
	memset(pool, 0, sizeof(pool));
	memset(model, 0, sizeof(model));
	set = (struct vma_set){0};
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned a = rng_below(&t->rng, PAGES), b = a + rng_below(&t->rng, PAGES - a);

		if (rng_below(&t->rng, 5) < 3)
			insert_random(t);
		else
			remove_random(t);
		check_find(t, a);
		check_covered(t, a, b + 1);
		check_gap(t, 1 + rng_below(&t->rng, 20));
		check_list(t);
		check_copy(t);
	}
}

static void merging(struct ktest *t)
{
	struct vma a = {.start = 0x1000, .end = 0x3000, .flags = VM_READ};
	struct vma b = {.start = 0x3000, .end = 0x4000, .flags = VM_READ};
	struct vma gap = {.start = 0x5000, .end = 0x6000, .flags = VM_READ};

	KEXPECT(t, vma_mergeable(&a, &b));
	KEXPECT(t, !vma_mergeable(&a, &gap));
	b.flags |= VM_WRITE;
	KEXPECT(t, !vma_mergeable(&a, &b));
	a.flags = b.flags = VM_READ | VM_SHARED | VM_PFNMAP;
	a.pgoff = 7;
	b.pgoff = 9;
	KEXPECT(t, vma_mergeable(&a, &b));
	b.pgoff = 10;
	KEXPECT(t, !vma_mergeable(&a, &b));
}

static const struct ktest_case cases[] = {
	{"against_a_model", against_a_model},
	{"merging", merging},
};
KTEST_SUITE(vma_suite, "vma", "the set of VMAs against a model", true, cases);
