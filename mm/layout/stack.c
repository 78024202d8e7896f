/*
 * Stacks that grow down: a VMA with VM_GROWSDOWN is extended by a fault below it, as on Linux
 * (mm/vma.c, expand_downwards): by any number of pages, to RLIMIT_STACK at most, and not nearer
 * than STACK_GUARD_GAP to memory below it that can be accessed. mmap() keeps out of that gap, too,
 * where it has the choice (vma_find_gap). So a stack that overflows ends by SIGSEGV.
 *
 * Locks: growth changes the start of a VMA, and so is a change of the layout: mmap_lock for
 * writing, and the VMA's mark. The fault then goes on as a reader.
 */
#include "mm/layout/stack.h"

#include "mm/layout/layout.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

/* Whether the neighbour below lets @v begin at @addr. */
static bool gap_is_kept(const struct vma *v, unsigned long addr)
{
	const struct vma *below = v->prev;

	if (!below || (below->flags & VM_GROWSDOWN) || !(below->flags & VM_ACCESS))
		return true;
	return addr - below->end >= STACK_GUARD_GAP;
}

/* @addr: of a page below @v and above whatever lies next below. */
static bool grow_down(struct mm *mm, struct vma *v, unsigned long addr)
{
	if (!(v->flags & VM_GROWSDOWN) || addr < MMAP_FLOOR || !gap_is_kept(v, addr) ||
	    v->end - addr > READ_ONCE(mm->stack_limit) || !mm_may_grow(mm, v->start - addr))
		return false;
	vma_start_write(v);
	mm->mapped_pages += (v->start - addr) >> PAGE_SHIFT;
	v->start = addr; /* its place in the set stays: nothing lies between */
	return true;
}

/* Not analysed: the caller's lock for reading is given back, and taken again. */
struct vma *stack_grow(struct mm *mm, unsigned long addr) __no_thread_safety
{
	struct vma *v = vma_find(&mm->vmas, addr);

	if (!(v->flags & VM_GROWSDOWN))
		return NULL;
	mmap_read_unlock(mm);
	mmap_write_lock(mm);
	v = vma_find(&mm->vmas, addr); /* it may be another one by now */
	if (v && v->start > addr && !grow_down(mm, v, addr & PAGE_MASK))
		v = NULL;
	mmap_write_downgrade(mm);
	return v;
}
