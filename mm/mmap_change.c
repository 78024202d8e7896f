/*
 * mprotect, mremap and madvise: changes to what is mapped already.
 *
 * Locks: mmap_lock for writing while the layout changes. mprotect then goes on as a reader, so that
 * its change of the entries races with faults; madvise is a reader from the start.
 */
#include "kernel/errno.h"
#include "mm/layout_internal.h"
#include "mm/mmap.h"
#include "mm/mprotect.h"
#include "mm/mremap.h"
#include "mm/populate.h"
#include "mm/vma.h"
#include "mm/zap.h"

static int set_flags(struct mm *mm, unsigned long start, unsigned long end, unsigned long access)
{
	int err;

	if (!vma_covered(&mm->vmas, start, end))
		return -ENOMEM;
	err = split_around(mm, start, end);
	if (err)
		return err;
	for (struct vma *v = vma_find(&mm->vmas, start); v && v->start < end; v = v->next)
		v->flags = (v->flags & ~VM_ACCESS) | access;
	merge_around(mm, start, end);
	return 0;
}

long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot) __no_thread_safety
{
	struct mm *mm = current->mm;
	unsigned long end;
	int err;

	len = ALIGN_UP(len, PAGE_SIZE);
	if ((addr & ~PAGE_MASK) || (prot & ~(unsigned long)VM_ACCESS))
		return -EINVAL;
	if (!len)
		return 0;
	if (!user_range_ok(addr, len))
		return -ENOMEM;
	end = addr + len;
	down_write(&mm->mmap_lock);
	err = set_flags(mm, addr, end, prot_to_vm_flags(prot));
	if (err) {
		up_write(&mm->mmap_lock);
		return err;
	}
	downgrade_write(&mm->mmap_lock);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end; v = v->next)
		change_protection(v, max(v->start, addr), min(v->end, end));
	up_read(&mm->mmap_lock);
	return 0;
}

/* Move [old, old + len) of @v to [new, new + new_len), which is free. */
static long move_vma(struct mm *mm, struct vma *v, unsigned long old, unsigned long len,
		     unsigned long new, unsigned long new_len)
{
	struct vma *target = vma_clone(v, mm, old, old + len);
	unsigned long moved, back;
	int err;

	if (!target)
		return -ENOMEM;
	target->start = new;
	target->end = new + new_len;
	mm_insert_vma(mm, target);
	err = move_page_tables(v, old, new, len, &moved);
	if (err) {
		/* The old tables are all there: moving back needs no memory. */
		BUG_ON(move_page_tables(target, new, old, moved, &back));
		BUG_ON(unmap_range_locked(mm, new, new + new_len, false));
		return err;
	}
	err = unmap_range_locked(mm, old, old + len, false);
	if (err)
		return err;
	merge_around(mm, new, new + new_len);
	return new;
}

static bool can_grow_in_place(const struct mm *mm, const struct vma *v, unsigned long end,
			      unsigned long new_end)
{
	return v->end == end && new_end <= USER_END && (!v->next || v->next->start >= new_end) &&
	       vma_covered(&mm->vmas, v->start, end);
}

static long remap_locked(struct mm *mm, unsigned long old, unsigned long old_len,
			 unsigned long new_len, unsigned long flags, unsigned long new)
{
	struct vma *v;
	long err = 0;

	if ((flags & MREMAP_FIXED) || new_len < old_len) {
		if (flags & MREMAP_FIXED)
			err = unmap_range_locked(mm, new, new + new_len, false);
		if (!err && new_len < old_len)
			err = unmap_range_locked(mm, old + new_len, old + old_len, false);
		if (err)
			return err;
		old_len = min(old_len, new_len);
	}
	v = vma_find(&mm->vmas, old);
	if (!v || v->start > old || v->end < old + old_len)
		return -EFAULT;
	/* A device's frames cannot grow, and nothing grows beyond what can be shared. */
	if (new_len > old_len && (v->flags & VM_PFNMAP))
		return -EFAULT;
	if (!(flags & MREMAP_FIXED)) {
		if (new_len <= old_len)
			return old;
		if (can_grow_in_place(mm, v, old + old_len, old + new_len)) {
			mm->mapped_pages += (new_len - old_len) >> PAGE_SHIFT;
			v->end = old + new_len;
			merge_around(mm, old, v->end);
			return old;
		}
		if (!(flags & MREMAP_MAYMOVE))
			return -ENOMEM;
		new = vma_find_gap(&mm->vmas, new_len, PAGE_SIZE, 0x00007f0000000000UL);
		if (!new)
			return -ENOMEM;
	}
	err = split_around(mm, old, old + old_len);
	if (err)
		return err;
	return move_vma(mm, vma_find(&mm->vmas, old), old, old_len, new, new_len);
}

long do_mremap(unsigned long old, unsigned long old_len, unsigned long new_len, unsigned long flags,
	       unsigned long new_addr)
{
	struct mm *mm = current->mm;
	long ret;

	old_len = ALIGN_UP(old_len, PAGE_SIZE);
	new_len = ALIGN_UP(new_len, PAGE_SIZE);
	if ((flags & ~(unsigned long)(MREMAP_MAYMOVE | MREMAP_FIXED)) ||
	    !user_range_ok(old, old_len) || !new_len || new_len > USER_END)
		return -EINVAL;
	if (flags & MREMAP_FIXED) {
		if (!(flags & MREMAP_MAYMOVE) || !user_range_ok(new_addr, new_len) ||
		    new_addr < PAGE_SIZE || (old < new_addr + new_len && new_addr < old + old_len))
			return -EINVAL;
	}
	down_write(&mm->mmap_lock);
	ret = remap_locked(mm, old, old_len, new_len, flags, new_addr);
	up_write(&mm->mmap_lock);
	return ret;
}

static int advise_vma(struct mmu_gather *tlb, struct vma *v, unsigned long start, unsigned long end,
		      int advice)
{
	if (advice == MADV_DONTNEED) {
		if (v->flags & VM_PFNMAP)
			return -EINVAL;
		zap_page_range(tlb, v, start, end);
		return 0;
	}
	if (advice == MADV_POPULATE_WRITE && !(v->flags & VM_WRITE))
		return -EFAULT;
	if (advice == MADV_POPULATE_READ && !(v->flags & VM_ACCESS))
		return -EFAULT;
	return populate_range(v, start, end, advice == MADV_POPULATE_WRITE);
}

/* Holes do not stop the rest from being advised, but are an error in the end. */
static int advise_range(struct mm *mm, unsigned long addr, unsigned long end, int advice)
{
	struct mmu_gather tlb;
	int err = 0, hole = vma_covered(&mm->vmas, addr, end) ? 0 : -ENOMEM;

	tlb_gather_mmu(&tlb, mm);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end && !err; v = v->next)
		err = advise_vma(&tlb, v, max(v->start, addr), min(v->end, end), advice);
	tlb_finish_mmu(&tlb);
	return err ? err : hole;
}

long do_madvise(unsigned long addr, unsigned long len, int advice)
{
	struct mm *mm = current->mm;
	int err;

	len = ALIGN_UP(len, PAGE_SIZE);
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
		return (addr & ~PAGE_MASK) ? -EINVAL : 0;
	case MADV_DONTNEED:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		break;
	default:
		return -EINVAL;
	}
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (!len)
		return 0;
	if (!user_range_ok(addr, len))
		return -ENOMEM;
	down_read(&mm->mmap_lock);
	err = advise_range(mm, addr, addr + len, advice);
	up_read(&mm->mmap_lock);
	return err;
}
