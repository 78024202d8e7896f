/*
 * Families: the address spaces that have come from one by fork, and of which each may share private
 * pages with each other. fork alone shares private pages, so who is the only member left shares
 * none: its entries say so only below an L2 entry with RW, but this says it of all at once.
 *
 * A member leaves when its pages are put. Only a member's own fork makes a family grow from one, and
 * that holds mmap_lock for writing and has marked all VMAs: so who holds mmap_lock, or the lock of
 * a VMA, stays the only one.
 */
#pragma once

#include "kernel/lib/atomic.h"
#include "mm/mm.h"

struct mm_family {
	atomic_t members;
	int audit_members; /* audits only, while everything is frozen: members that were found */
};

/* @child is a member of @parent's family. -ENOMEM. mmap_lock of both is held for writing. */
int family_join(struct mm *child, struct mm *parent);
/* @mm maps nothing any more, and nobody uses it. */
void family_leave(struct mm *mm);

/* True: no private page of @mm is mapped elsewhere. mmap_lock, or the lock of a VMA, is held. */
static inline bool family_is_one(const struct mm *mm)
{
	return !mm->family || atomic_read(&mm->family->members) == 1;
}
