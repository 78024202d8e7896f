/*
 * mprotect, mremap and madvise: changes to what is mapped already.
 *
 * Locks: mmap_lock for writing while the layout changes. mprotect then goes on as a reader, so that
 * its change of the entries races with faults; madvise is a reader from the start.
 */
#include "kernel/errno.h"
#include "mm/layout_internal.h"
#include "mm/mmap.h"
#include "mm/mmap_lock.h"
#include "mm/mprotect.h"
#include "mm/mremap.h"
#include "mm/populate.h"
#include "mm/shmem.h"
#include "mm/vma.h"
#include "mm/whole_table.h"
#include "mm/zap.h"

/* The end of what VMAs cover without a hole from @start on, at most @end. */
static unsigned long covered_end(const struct mm *mm, unsigned long start, unsigned long end)
{
	const struct vma *v = vma_find(&mm->vmas, start);

	for (; v && v->start <= start && start < end; v = v->next)
		start = v->end;
	return min(start, end);
}

/* @only_write: no VMA of the range gets or loses more than the right to write. */
static int set_flags(struct mm *mm, unsigned long start, unsigned long end, unsigned long access,
		     bool *only_write)
{
	int err = split_around(mm, start, end);

	if (err)
		return err;
	*only_write = access & ~VM_WRITE;
	for (struct vma *v = vma_find(&mm->vmas, start); v && v->start < end; v = v->next) {
		if ((v->flags ^ access) & VM_ACCESS & ~VM_WRITE)
			*only_write = false;
		vma_start_write(v);
		v->flags = (v->flags & ~VM_ACCESS) | access;
	}
	merge_around(mm, start, end);
	return 0;
}

/* Page-align a length that is not 0; 0 if that wraps. */
static unsigned long align_len(unsigned long len)
{
	return ALIGN_UP(len, PAGE_SIZE);
}

/* As on Linux, what lies before a hole is changed, and the hole is an error in the end. */
long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot) __no_thread_safety
{
	struct mm *mm = current->mm;
	unsigned long end;
	bool only_write;
	int err;

	if ((addr & ~PAGE_MASK) || (prot & ~(unsigned long)VM_ACCESS))
		return -EINVAL;
	if (!len)
		return 0;
	if (!user_range_ok(addr, align_len(len)))
		return -ENOMEM;
	mmap_write_lock(mm);
	end = covered_end(mm, addr, addr + align_len(len));
	err = end > addr ? set_flags(mm, addr, end, prot_to_vm_flags(prot), &only_write) : -ENOMEM;
	if (err) {
		mmap_write_unlock(mm);
		return err;
	}
	mmap_write_downgrade(mm);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end; v = v->next)
		change_protection(v, max(v->start, addr), min(v->end, end), only_write);
	mmap_read_unlock(mm);
	return end == addr + align_len(len) ? 0 : -ENOMEM;
}

/* Move [old, old + len) of @v to [new, new + new_len), which is free. */
static long move_vma(struct mm *mm, struct vma *v, unsigned long old, unsigned long len,
		     unsigned long new, unsigned long new_len)
{
	struct vma *target = vma_clone(v, mm, old, old + len);
	int err;

	if (!target)
		return -ENOMEM;
	target->start = new;
	target->end = new + new_len;
	mm_insert_vma(mm, target);
	vma_start_write(v);
	err = move_page_tables(v, old, new, len);
	/* The one range or the other goes; its ends are ends of VMAs, so this needs no memory. */
	if (err)
		BUG_ON(unmap_range_locked(mm, new, new + new_len, false));
	else
		BUG_ON(unmap_range_locked(mm, old, old + len, false));
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

/* Whether @v may map @new_len bytes from @old on: a device's frames cannot grow, objects have an
 * end. */
static int check_growth(const struct vma *v, unsigned long old, unsigned long old_len,
			unsigned long new_len)
{
	unsigned long index = v->pgoff + ((old - v->start) >> PAGE_SHIFT);

	if (new_len <= old_len)
		return 0;
	if (v->flags & VM_PFNMAP)
		return -EFAULT;
	if (v->shmem && index + (new_len >> PAGE_SHIFT) > SHMEM_MAX_PAGES)
		return -ENOMEM;
	return 0;
}

/* Make room at the target and cut off the tail; then old_len <= new_len. */
static int unmap_for_remap(struct mm *mm, unsigned long old, unsigned long *old_len,
			   unsigned long new_len, unsigned long flags, unsigned long new)
{
	int err = 0;

	if (flags & MREMAP_FIXED)
		err = unmap_range_locked(mm, new, new + new_len, false);
	if (!err && new_len < *old_len) {
		err = unmap_range_locked(mm, old + new_len, old + *old_len, false);
		*old_len = new_len;
	}
	return err;
}

static long remap_locked(struct mm *mm, unsigned long old, unsigned long old_len,
			 unsigned long new_len, unsigned long flags, unsigned long new)
{
	struct vma *v = vma_find(&mm->vmas, old);
	long err;

	if (!v || v->start > old)
		return -EFAULT;
	err = check_growth(v, old, old_len, new_len);
	if (!err)
		err = unmap_for_remap(mm, old, &old_len, new_len, flags, new);
	if (err)
		return err;
	if (!(flags & MREMAP_FIXED) && new_len == old_len)
		return old;
	v = vma_find(&mm->vmas, old);
	if (v->end < old + old_len)
		return -EFAULT; /* several VMAs */
	if (!(flags & MREMAP_FIXED)) {
		if (can_grow_in_place(mm, v, old + old_len, old + new_len)) {
			mm->mapped_pages += (new_len - old_len) >> PAGE_SHIFT;
			vma_start_write(v);
			v->end = old + new_len;
			merge_around(mm, old, v->end);
			return old;
		}
		if (!(flags & MREMAP_MAYMOVE))
			return -ENOMEM;
		new = vma_find_gap(&mm->vmas, new_len, MMAP_FLOOR, MMAP_CEILING);
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
		    new_addr < MMAP_FLOOR || (old < new_addr + new_len && new_addr < old + old_len))
			return -EINVAL;
	}
	mmap_write_lock(mm);
	ret = remap_locked(mm, old, old_len, new_len, flags, new_addr);
	mmap_write_unlock(mm);
	return ret;
}

/*
 * Whether DONTNEED drops whole tables: then nobody else may be on the way to one. If the mm has
 * other threads, all their faults in the VMA would wait for it, so entries go, one by one, beside
 * them. Only this thread could start a second one.
 */
static bool drops_tables(const struct mm *mm, unsigned long start, unsigned long end, int advice)
{
	return advice == MADV_DONTNEED && whole_tables_enabled && atomic_read(&mm->users) == 1 &&
	       ALIGN_UP(start, PMD_SIZE) + PMD_SIZE <= end;
}

static int advise_vma(struct mmu_gather *tlb, struct vma *v, unsigned long start, unsigned long end,
		      int advice, bool exclusive)
{
	if (advice == MADV_DONTNEED) {
		if (v->flags & VM_PFNMAP)
			return -EINVAL;
		if (exclusive) {
			vma_start_write(v);
			discard_page_range(tlb, v, start, end);
		} else {
			zap_page_range(tlb, v, start, end, 0, 0);
		}
		return 0;
	}
	return 0; /* a hint */
}

/* Holes do not stop the rest from being advised, but are an error in the end. */
static int advise_range(struct mm *mm, unsigned long addr, unsigned long end, int advice,
			bool exclusive)
{
	struct mmu_gather tlb;
	int err = 0, hole = vma_covered(&mm->vmas, addr, end) ? 0 : -ENOMEM;

	tlb_gather_mmu(&tlb, mm);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end && !err; v = v->next)
		err = advise_vma(&tlb, v, max(v->start, addr), min(v->end, end), advice, exclusive);
	tlb_finish_mmu(&tlb);
	return err ? err : hole;
}

static bool advice_known(int advice)
{
	return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) || advice == MADV_POPULATE_READ ||
	       advice == MADV_POPULATE_WRITE;
}

long do_madvise(unsigned long addr, unsigned long len, int advice)
{
	struct mm *mm = current->mm;
	int err;

	if (!advice_known(advice) || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	len = align_len(len);
	if (!len || addr + len < addr)
		return -EINVAL;
	if (!user_range_ok(addr, len))
		return -ENOMEM;
	if (advice == MADV_POPULATE_READ)
		return mm_populate(mm, addr, addr + len, POPULATE_READ);
	if (advice == MADV_POPULATE_WRITE)
		return mm_populate(mm, addr, addr + len, POPULATE_WRITE);
	if (drops_tables(mm, addr, addr + len, advice)) {
		mmap_write_lock(mm);
		err = advise_range(mm, addr, addr + len, advice, true);
		mmap_write_unlock(mm);
	} else {
		mmap_read_lock(mm);
		err = advise_range(mm, addr, addr + len, advice, false);
		mmap_read_unlock(mm);
	}
	return err;
}
