/*
 * mmap, munmap, brk, and the VMAs behind them.
 *
 * Locks: mmap_lock for writing while the layout changes. munmap gives it back to readers before it
 * touches the page tables, so that its zap races with faults of the rest of the mm. MAP_POPULATE
 * comes after it, as a reader.
 */
#include "mm/space/mmap.h"

#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/frame/slab.h"
#include "mm/range/populate.h"
#include "mm/range/remap.h"
#include "mm/range/zap.h"
#include "mm/space/layout_internal.h"
#include "mm/space/mmap_flags.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"
#include "mm/vma/vma_alloc.h"

void mm_insert_vma(struct mm *mm, struct vma *v)
{
	mmap_assert_write_locked(mm);
	vma_insert(&mm->vmas, v);
	mm->mapped_pages += (v->end - v->start) >> PAGE_SHIFT;
}

void mm_remove_vma(struct mm *mm, struct vma *v)
{
	mmap_assert_write_locked(mm);
	vma_remove(&mm->vmas, v);
	mm->mapped_pages -= (v->end - v->start) >> PAGE_SHIFT;
}

bool mm_may_grow(const struct mm *mm, unsigned long len)
{
	return mm->mapped_pages + (len >> PAGE_SHIFT) <= READ_ONCE(mm->address_limit) >> PAGE_SHIFT;
}

static bool is_full(const struct mm *mm)
{
	return mm->vmas.count >= MAX_MAP_COUNT;
}

/*
 * Split the VMA that @addr lies strictly inside, if any. -ENOMEM; else nothing observable changes.
 */
static int split_at(struct mm *mm, unsigned long addr)
{
	struct vma *v = vma_find(&mm->vmas, addr), *upper;

	if (!v || v->start >= addr)
		return 0;
	upper = vma_clone(v, mm, addr, v->end);
	if (!upper)
		return -ENOMEM;
	vma_start_write(v);
	v->end = addr;
	vma_insert(&mm->vmas, upper);
	return 0;
}

static bool is_inside(const struct mm *mm, unsigned long addr)
{
	const struct vma *v = vma_find(&mm->vmas, addr);

	return v && v->start < addr;
}

int split_around(struct mm *mm, unsigned long start, unsigned long end)
{
	int err;

	mmap_assert_write_locked(mm);
	err = is_full(mm) && is_inside(mm, start) ? -ENOMEM : split_at(mm, start);
	if (!err && is_full(mm) && is_inside(mm, end))
		err = -ENOMEM;
	return err ? err : split_at(mm, end);
}

/*
 * For an unmap, which may split at the limit: only a hole in the middle of a VMA makes it one more.
 */
static int split_to_unmap(struct mm *mm, unsigned long start, unsigned long end)
{
	const struct vma *v = vma_find(&mm->vmas, start);
	int err;

	mmap_assert_write_locked(mm);
	if (is_full(mm) && v && v->start < start && v->end > end)
		return -ENOMEM;
	err = split_at(mm, start);
	return err ? err : split_at(mm, end);
}

void merge_around(struct mm *mm, unsigned long start, unsigned long end)
{
	struct vma *v = vma_find(&mm->vmas, start ? start - 1 : 0), *next;

	mmap_assert_write_locked(mm);
	for (; v && v->start <= end; v = next) {
		next = v->next;
		if (!next || !vma_mergeable(v, next))
			continue;
		vma_start_write(v);
		vma_detach(next);
		vma_remove(&mm->vmas, next);
		v->end = next->end;
		vma_free(next);
		next = v;
	}
}

/* Take the VMAs of [start, end), already split at its ends, out of the mm; linked by `next`. */
static struct vma *detach_range(struct mm *mm, unsigned long start, unsigned long end)
{
	struct vma *first = NULL, **link = &first, *v, *next;

	mmap_assert_write_locked(mm);
	for (v = vma_find(&mm->vmas, start); v && v->start < end; v = next) {
		next = v->next;
		vma_detach(v);
		mm_remove_vma(mm, v);
		v->next = NULL;
		*link = v;
		link = &v->next;
	}
	return first;
}

/* Drop what detached VMAs map, and their tables. mmap_lock held for reading at least. */
static void zap_detached(struct mm *mm, struct vma *list, unsigned long floor,
			 unsigned long ceiling)
{
	struct table_changes unlinked;
	struct mmu_gather tlb;
	struct vma *next;

	mmap_assert_locked(mm);
	table_changes_init(&unlinked);
	tlb_gather_mmu(&tlb, mm);
	for (struct vma *v = list; v; v = v->next)
		zap_page_range(&tlb, v, v->start, v->end, floor, ceiling);
	/* Upwards: a table goes with the last VMA that uses it, so the next one is the ceiling. */
	spin_lock(&mm->page_table_lock);
	for (struct vma *v = list; v; v = v->next)
		free_pgtables(&tlb, &unlinked, v->start, v->end, floor,
			      v->next ? v->next->start : ceiling);
	table_changes_commit(&unlinked);
	spin_unlock(&mm->page_table_lock);
	tlb_finish_mmu(&tlb);
	for (; list; list = next) {
		next = list->next;
		vma_free(list);
	}
}

/* The free space around @addr, which no VMA covers. */
static void free_space_around(const struct mm *mm, unsigned long addr, unsigned long *floor,
			      unsigned long *ceiling)
{
	const struct vma *below = vma_find_below(&mm->vmas, addr);
	const struct vma *above = vma_find(&mm->vmas, addr);

	*floor = below ? below->end : 0;
	*ceiling = above ? above->start : USER_END + PAGE_SIZE;
}

int unmap_range_locked(struct mm *mm, unsigned long start, unsigned long end, bool downgrade)
	__no_thread_safety
{
	unsigned long floor = 0, ceiling = 0;
	struct vma *list;
	int err = split_to_unmap(mm, start, end);

	if (err)
		return err;
	list = detach_range(mm, start, end);
	free_space_around(mm, start, &floor, &ceiling);
	if (downgrade)
		mmap_write_downgrade(mm);
	if (list)
		zap_detached(mm, list, floor, ceiling);
	return 0;
}

bool user_range_ok(unsigned long addr, unsigned long len)
{
	return !(addr & ~PAGE_MASK) && len && len <= USER_END && addr <= USER_END - len;
}

unsigned long prot_to_vm_flags(unsigned long prot)
{
	static_assert(PROT_READ == VM_READ && PROT_WRITE == VM_WRITE && PROT_EXEC == VM_EXEC, "");
	return prot & VM_ACCESS;
}

long do_munmap(unsigned long addr, unsigned long len) __no_thread_safety
{
	struct mm *mm = current->mm;
	long err;

	len = ALIGN_UP(len, PAGE_SIZE); /* 0 if it wraps, which is refused too */
	if (!user_range_ok(addr, len))
		return -EINVAL;
	mmap_write_lock(mm);
	err = unmap_range_locked(mm, addr, addr + len, true);
	if (err)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	return err;
}

/* Exactly @addr, where nothing keeps a distance from a stack. */
static long place_fixed(const struct mm *mm, unsigned long addr, unsigned long len,
			unsigned long flags)
{
	const struct vma *next;

	if (addr > USER_END - len)
		return -ENOMEM;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (addr < MMAP_FLOOR)
		return -EPERM;
	next = vma_find(&mm->vmas, addr);
	if ((flags & MAP_FIXED_NOREPLACE) && next && next->start < addr + len)
		return -EEXIST;
	return addr;
}

/* Whether @addr, a hint, can be had. */
static bool hint_is_free(const struct mm *mm, unsigned long addr, unsigned long len,
			 unsigned long end)
{
	const struct vma *next = vma_find(&mm->vmas, addr);

	return len <= end && addr <= end - len && (!next || vma_start_gap(next) >= addr + len);
}

long mmap_place(struct mm *mm, unsigned long addr, unsigned long len, unsigned long flags)
{
	bool low = flags & MAP_32BIT;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return place_fixed(mm, addr, len, flags);
	addr &= PAGE_MASK;
	if (addr)
		addr = max(addr, MMAP_FLOOR);
	if (addr && hint_is_free(mm, addr, len, low ? MMAP_32BIT_CEILING : USER_END))
		return addr;
	addr = low ? vma_find_gap(&mm->vmas, len, MMAP_32BIT_FLOOR, MMAP_32BIT_CEILING)
		   : vma_find_gap(&mm->vmas, len, MMAP_FLOOR, MMAP_CEILING);
	return addr ? (long)addr : -ENOMEM;
}

/* What the new VMA maps. -ENOMEM, or -EINVAL where the frames end. */
static int set_backing(struct vma *v, const struct mmap_frames *frames, unsigned long pgoff)
{
	unsigned long pages = (v->end - v->start) >> PAGE_SHIFT;

	if (frames) {
		if (pgoff > frames->count || pages > frames->count - pgoff)
			return -EINVAL;
		v->flags |= VM_PFNMAP;
		v->pgoff = frames->first_pfn + pgoff;
	} else if (v->flags & VM_SHARED) {
		if (pages > SHMEM_MAX_PAGES)
			return -ENOMEM;
		v->shmem = shmem_create(pages);
		if (!v->shmem)
			return -ENOMEM;
	}
	return 0;
}

/* How much of the range is mapped, and will not be when something else takes its place. */
static unsigned long covered_bytes(const struct mm *mm, unsigned long start, unsigned long end)
{
	unsigned long n = 0;

	for (const struct vma *v = vma_find(&mm->vmas, start); v && v->start < end; v = v->next)
		n += min(v->end, end) - max(v->start, start);
	return n;
}

static long map_locked(struct mm *mm, unsigned long addr, unsigned long len, unsigned long vm_flags,
		       const struct mmap_frames *frames, unsigned long pgoff)
{
	struct vma *v;
	int err;

	if (mm->vmas.count > MAX_MAP_COUNT)
		return -ENOMEM;
	if (!mm_may_grow(mm, len) && !mm_may_grow(mm, len - covered_bytes(mm, addr, addr + len)))
		return -ENOMEM;
	v = vma_alloc(mm, addr, addr + len, vm_flags);
	if (!v)
		return -ENOMEM;
	err = set_backing(v, frames, pgoff);
	if (!err)
		err = unmap_range_locked(mm, addr, addr + len, false);
	if (err) {
		vma_free(v);
		return err;
	}
	mm_insert_vma(mm, v);
	err = frames ? remap_pfn_range(v, v->start, v->end, pfn(v->pgoff)) : 0;
	if (err) {
		unmap_range_locked(mm, addr, addr + len, false);
		return err;
	}
	merge_around(mm, addr, addr + len);
	return addr;
}

long do_mmap(unsigned long addr, unsigned long len, unsigned long prot, unsigned long flags,
	     const struct mmap_frames *frames, unsigned long pgoff)
{
	struct mm *mm = current->mm;
	unsigned long vm_flags = prot_to_vm_flags(prot);
	long err;

	if (!len)
		return -EINVAL;
	if (len > USER_END)
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	mmap_write_lock(mm);
	addr = mmap_place(mm, addr, len, flags);
	if ((long)addr > 0) {
		err = mmap_vm_flags(flags, frames, &vm_flags);
		addr = err ? (unsigned long)err
			   : (unsigned long)map_locked(mm, addr, len, vm_flags, frames, pgoff);
	}
	mmap_write_unlock(mm);
	/* Nothing is ever paged out, so locked memory is that which is there. */
	if ((long)addr > 0 && (flags & (MAP_POPULATE | MAP_LOCKED)) && (vm_flags & VM_ACCESS))
		mm_populate(mm, addr, addr + len, POPULATE_MAP);
	return addr;
}

/* As on Linux brk() tells where the break is now; that is the error too. */
long do_brk(unsigned long brk)
{
	struct mm *mm = current->mm;
	unsigned long old_end, new_end;

	mmap_write_lock(mm);
	old_end = ALIGN_UP(mm->brk, PAGE_SIZE);
	new_end = ALIGN_UP(brk, PAGE_SIZE);
	if (brk >= mm->brk_start && brk < MMAP_CEILING) {
		const struct vma *next = vma_find(&mm->vmas, old_end);
		bool ok = true;

		if (new_end > old_end)
			ok = (!next || vma_start_gap(next) >= new_end + PAGE_SIZE) &&
			     map_locked(mm, old_end, new_end - old_end, VM_READ | VM_WRITE, NULL,
					0) > 0;
		else if (new_end < old_end)
			ok = !unmap_range_locked(mm, new_end, old_end, false);
		if (ok)
			mm->brk = brk;
	}
	brk = mm->brk;
	mmap_write_unlock(mm);
	return brk;
}

void unmap_everything(struct mm *mm)
{
	struct vma *list = detach_range(mm, 0, USER_END);

	if (list)
		zap_detached(mm, list, 0, USER_END + PAGE_SIZE);
}
