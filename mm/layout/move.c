/*
 * VMAs that move, grow, or are mapped once more.
 *
 * Lock: mmap_lock for writing.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "mm/layout/layout.h"
#include "mm/layout/mman.h"
#include "mm/range/mremap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "mm/vma/vma_alloc.h"

/*
 * Move [old, old + old_len), which is a VMA or, of length 0, nothing, to [new, new + new_len),
 * which is free; @like is what the new VMA continues.
 */
static long move_vma(struct mm *mm, struct vma *like, const struct remap *r)
{
	struct vma *target = vma_clone(like, mm, r->old, r->old + r->old_len);
	int err = 0;

	if (!target)
		return -ENOMEM;
	target->start = r->new;
	target->end = r->new + r->new_len;
	mm_insert_vma(mm, target);
	if (r->old_len) {
		vma_start_write(like);
		err = move_page_tables(like, r->old, r->new, r->old_len);
	}
	/* The one range or the other goes; its ends are ends of VMAs, so this needs no memory. */
	if (err)
		BUG_ON(unmap_range_locked(mm, r->new, r->new + r->new_len, UNMAP_EXCLUSIVE));
	else if (r->old_len && !(r->flags & MREMAP_DONTUNMAP))
		BUG_ON(unmap_range_locked(mm, r->old, r->old + r->old_len, UNMAP_EXCLUSIVE));
	if (r->flags & MREMAP_DONTUNMAP) /* else a hole is there */
		merge_around(mm, r->old, r->old + r->old_len);
	merge_around(mm, r->new, r->new + r->new_len);
	return err ? err : (long)r->new;
}

long layout_move(struct mm *mm, const struct remap *r)
{
	struct vma *v;
	long ret = 0;

	if (mm->vmas.count >= MAX_MAP_COUNT - 3)
		return -ENOMEM; /* Linux's, who may need as many to undo it */
	if (r->old_len)
		ret = split_around(mm, r->old, r->old + r->old_len, &v);
	else
		v = vma_find(&mm->vmas, r->old);
	if (!ret)
		ret = move_vma(mm, v, r);
	if (ret < 0) /* what was split is one again */
		merge_around(mm, r->old, r->old + r->old_len);
	return ret;
}

static bool can_grow_in_place(const struct vma *v, const struct remap *r)
{
	unsigned long end = r->old + r->new_len;

	return r->old_len && v->end == r->old + r->old_len && end <= USER_END &&
	       (!v->next || v->next->start >= end);
}

bool layout_grow(struct mm *mm, struct vma *v, const struct remap *r)
{
	if (!can_grow_in_place(v, r))
		return false;
	mm->mapped_pages += (r->new_len - r->old_len) >> PAGE_SHIFT;
	vma_start_write(v);
	v->end = r->old + r->new_len;
	merge_around(mm, r->old, v->end);
	return true;
}
