/*
 * The set of VMAs of an address space: a treap by address for finding, a list for going along.
 * Pure: no page tables, no locks (mmap_lock is the caller's); the host tests run it against a
 * model.
 */
#pragma once

#include "mm/mm.h"

/* A stack that grows down stops so far above what lies below it, as Linux's stack_guard_gap. */
#define STACK_GUARD_GAP (256UL << PAGE_SHIFT)
/* Where what belongs to @v begins: its start, or that of the gap below a stack. */
static inline unsigned long vma_start_gap(const struct vma *v)
{
	if (!(v->flags & VM_GROWSDOWN))
		return v->start;
	return v->start > STACK_GUARD_GAP ? v->start - STACK_GUARD_GAP : 0;
}

/* The first VMA that ends above @addr, or NULL. It may start above @addr too. */
struct vma *vma_find(const struct vma_set *s, unsigned long addr);
/* The last VMA that starts below @addr, or NULL. */
struct vma *vma_find_below(const struct vma_set *s, unsigned long addr);
/* @v overlaps no member. */
void vma_insert(struct vma_set *s, struct vma *v);
/* The same, without a search: @v lies above all members, of which @last is the last; NULL: none is. */
void vma_append(struct vma_set *s, struct vma *v, struct vma *last);
/* @v is a member; it stays the caller's. */
void vma_remove(struct vma_set *s, struct vma *v);
/* True if [start, end) lies wholly within VMAs. */
bool vma_covered(const struct vma_set *s, unsigned long start, unsigned long end);
/* True if @b, which starts where @a ends, continues it in every respect. */
bool vma_mergeable(const struct vma *a, const struct vma *b);
/*
 * The start of @len free bytes as high as possible below @ceiling and not below @floor, and not in
 * the gap below a stack; 0: none.
 */
unsigned long vma_find_gap(const struct vma_set *s, unsigned long len, unsigned long floor,
			   unsigned long ceiling);
