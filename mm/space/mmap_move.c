/*
 * mremap: a mapping that grows, shrinks, moves, or is mapped once more. The checks, and their
 * order, are those of Linux 6.18 (mm/mremap.c); of an older Linux differs that a move of several
 * VMAs at once is EFAULT there (before 6.17).
 *
 * Locks: mmap_lock for writing.
 */
#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"
#include "mm/layout/layout.h"
#include "mm/space/mmap.h"
#include "mm/space/mmap_flags.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

/* The caller says where, and not only how much. */
static bool has_target(const struct remap *r)
{
	return r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
}

static long check_arguments(const struct remap *r)
{
	if ((r->flags & ~(unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
	    (r->old & ~PAGE_MASK) || !r->new_len || r->new_len > USER_END)
		return -EINVAL;
	if (!has_target(r))
		return 0;
	if (r->new > USER_END - r->new_len || (r->new & ~PAGE_MASK) || !(r->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && r->old_len != r->new_len)
		return -EINVAL;
	return r->old + r->old_len > r->new && r->new + r->new_len > r->old ? -EINVAL : 0;
}

/* Whether @v, which holds the start, serves. A device's frames cannot grow. */
static long check_vma(const struct vma *v, const struct remap *r)
{
	if (r->new_len <= r->old_len && !has_target(r))
		return 0;
	if (!r->old_len && !(v->flags & VM_SHARED))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && (v->flags & VM_PFNMAP))
		return -EINVAL;
	if (r->old_len > v->end - r->old)
		return -EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	if (v->flags & VM_PFNMAP)
		return -EFAULT;
	return mm_may_grow(v->mm, r->new_len - r->old_len) ? 0 : -ENOMEM;
}

static long shrink(struct mm *mm, const struct remap *r)
{
	unsigned long start = r->old + r->new_len, len = r->old_len - r->new_len;

	if (!user_range_ok(start, len))
		return -EINVAL;
	return unmap_range_locked(mm, start, start + len, UNMAP_EXCLUSIVE);
}

/* Move to where the caller says. What is there goes; with MREMAP_DONTUNMAP alone it is a hint. */
static long move_to_target(struct mm *mm, struct remap *r)
{
	bool fixed = r->flags & MREMAP_FIXED;
	long ret;

	if (mm->vmas.count + 2 >= MAX_MAP_COUNT - 3)
		return -ENOMEM; /* before anything is unmapped */
	ret = fixed ? unmap_range_locked(mm, r->new, r->new + r->new_len, UNMAP_EXCLUSIVE) : 0;

	if (!ret && r->new_len < r->old_len) {
		ret = shrink(mm, r);
		r->old_len = r->new_len;
	}
	if (!ret && (r->flags & MREMAP_DONTUNMAP) && !mm_may_grow(mm, r->new_len))
		ret = -ENOMEM;
	if (!ret)
		ret = mmap_place(mm, r->new, r->new_len, fixed ? MAP_FIXED : 0);
	if (ret < 0)
		return ret;
	r->new = ret;
	return layout_move(mm, r);
}

static long grow(struct mm *mm, struct vma *v, struct remap *r)
{
	long place;

	if (layout_grow(mm, v, r))
		return r->old;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	place = mmap_place(mm, 0, r->new_len, 0);
	if (place < 0)
		return place;
	r->new = place;
	return layout_move(mm, r);
}

static long remap_one(struct mm *mm, struct remap *r)
{
	struct vma *v = vma_find(&mm->vmas, r->old);
	long err;

	if (!v || v->start > r->old)
		return -EFAULT;
	err = check_vma(v, r);
	if (err)
		return err;
	if (has_target(r))
		return move_to_target(mm, r);
	if (r->new_len > r->old_len)
		return grow(mm, v, r);
	err = r->new_len < r->old_len ? shrink(mm, r) : 0;
	return err ? err : (long)r->old;
}

/*
 * Move all VMAs of the range, with the holes between them, as they are. After an error those that
 * were moved stay moved. A VMA that stays (MREMAP_DONTUNMAP) may have merged with what lies behind
 * the range.
 */
static long remap_each(struct mm *mm, const struct remap *all)
{
	unsigned long at = all->old, end = at + all->old_len;
	const struct vma *v = vma_find(&mm->vmas, at);

	if (!v || v->start > at)
		return -EFAULT;
	for (; at < end && v && v->start < end; v = vma_find(&mm->vmas, at)) {
		struct remap r = *all;
		long moved;

		r.old = max(v->start, at);
		r.old_len = r.new_len = min(v->end, end) - r.old;
		r.new = all->new + (r.old - all->old);
		at = r.old + r.old_len;
		moved = remap_one(mm, &r);
		if (moved < 0)
			return moved;
	}
	return all->new;
}

long do_mremap(unsigned long old, unsigned long old_len, unsigned long new_len, unsigned long flags,
	       unsigned long new_addr)
{
	struct remap r = {old, ALIGN_UP(old_len, PAGE_SIZE), ALIGN_UP(new_len, PAGE_SIZE), flags,
			  new_addr};
	struct mm *mm = current->mm;
	long ret = check_arguments(&r);

	if (ret)
		return ret;
	mmap_write_lock(mm);
	if ((flags & MREMAP_FIXED) && r.old_len == r.new_len)
		ret = remap_each(mm, &r);
	else
		ret = remap_one(mm, &r);
	mmap_write_unlock(mm);
	return ret;
}
