/*
 * The way of MAP_POPULATE and its sisters through the VMAs; mm/range/populate.c fills them.
 *
 * A range may have terabytes. So between two chunks of it mmap_lock is given back if anybody waits
 * for it, and the VMAs are looked at again; and it ends when its process does. What is populated by
 * then stays, as on Linux.
 *
 * Lock: mmap_lock for reading.
 */
#include "mm/space/populate.h"

#include "kernel/lib/errno.h"
#include "mm/range/populate.h"
#include "mm/types/addr.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

#define POPULATE_CHUNK (32UL << 20) /* what walk.c makes tables for in one go */

/* A chunk ends where a VMA, or what tables_alloc() links in one call, does. */
static unsigned long chunk_end(const struct vma *v, unsigned long start, unsigned long end)
{
	return min(min(v->end, end), ALIGN_DOWN(start, POPULATE_CHUNK) + POPULATE_CHUNK);
}

/* Whether @v has the rights that are asked for; MAP_POPULATE takes what there is. */
static bool may_populate(const struct vma *v, enum populate how)
{
	static const unsigned long needed[] = {
		[POPULATE_MAP] = VM_ACCESS,
		[POPULATE_READ] = VM_READ,
		[POPULATE_WRITE] = VM_WRITE,
	};

	return !(v->flags & VM_PFNMAP) && (v->flags & needed[how]);
}

static int populate_chunk(struct vma *v, unsigned long start, unsigned long end, enum populate how)
{
	bool write = how == POPULATE_WRITE || (how == POPULATE_MAP && (v->flags & VM_WRITE));

	if (!may_populate(v, how))
		return -EINVAL;
	return populate_range(v, start, end, write ? ACCESS_WRITE : ACCESS_READ);
}

/*
 * Let others have mmap_lock, or the audits their rest, where they wait. -EINTR. Not analysed: the
 * caller's lock is given back, and taken again.
 */
static int let_others_in(struct mm *mm) __no_thread_safety
{
	if (likely(!READ_ONCE(current->work) && !rwsem_has_waiters(&mm->mmap_lock)))
		return 0;
	mmap_read_unlock(mm);
	if (!task_is_ending())
		freezer_checkpoint();
	mmap_read_lock(mm);
	return task_is_ending() ? -EINTR : 0;
}

/* Populate from *@start on, within one VMA, and move it on. */
static int populate_step(struct mm *mm, unsigned long *start, unsigned long end, enum populate how)
{
	struct vma *v = vma_find(&mm->vmas, *start);
	unsigned long addr = *start;
	int err;

	if (!v || v->start > addr) {
		*start = v && how == POPULATE_MAP ? min(v->start, end) : end;
		return how == POPULATE_MAP ? 0 : -ENOMEM;
	}
	*start = chunk_end(v, addr, end);
	err = populate_chunk(v, addr, *start, how);
	if (err && how == POPULATE_MAP)
		*start = min(v->end, end); /* a hint: on with the next VMA */
	return how == POPULATE_MAP ? 0 : err;
}

int mm_populate(struct mm *mm, unsigned long start, unsigned long end, enum populate how)
{
	int err = 0;

	mmap_read_lock(mm);
	while (start < end && !err) {
		err = let_others_in(mm);
		if (!err)
			err = populate_step(mm, &start, end, how);
	}
	mmap_read_unlock(mm);
	return err;
}
