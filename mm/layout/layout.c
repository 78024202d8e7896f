/*
 * Which VMAs an address space has: what makes, splits, merges, copies and drops them, with what
 * they map.
 *
 * Lock: mmap_lock for writing; an unmap may go on as a reader, while its entries are zapped.
 */
#include "mm/layout/layout.h"

#include "kernel/lib/errno.h"
#include "mm/range/fork.h"
#include "mm/range/remap.h"
#include "mm/range/zap.h"
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

/* The same of @v that lies above all others, of which @last is the last; NULL: there is none. */
static void mm_append_vma(struct mm *mm, struct vma *v, struct vma *last)
{
	mmap_assert_write_locked(mm);
	vma_append(&mm->vmas, v, last);
	mm->mapped_pages += (v->end - v->start) >> PAGE_SHIFT;
}

static void mm_remove_vma(struct mm *mm, struct vma *v)
{
	mmap_assert_write_locked(mm);
	vma_remove(&mm->vmas, v);
	mm->mapped_pages -= (v->end - v->start) >> PAGE_SHIFT;
}

bool mm_may_grow(const struct mm *mm, unsigned long len)
{
	return mm->mapped_pages + (len >> PAGE_SHIFT) <= READ_ONCE(mm->address_limit) >> PAGE_SHIFT;
}

static bool is_at_limit(const struct mm *mm)
{
	return mm->vmas.count >= MAX_MAP_COUNT;
}

/* Split *@at at @addr, which lies strictly inside; *@at is the upper part then. -ENOMEM. */
static __noinline int split_inside(struct mm *mm, struct vma **at, unsigned long addr)
{
	struct vma *v = *at, *upper;

	upper = vma_clone(v, mm, addr, v->end);
	if (!upper)
		return -ENOMEM;
	vma_start_write(v);
	v->end = addr;
	vma_insert(&mm->vmas, upper);
	*at = upper;
	return 0;
}

static bool is_inside(const struct vma *v, unsigned long addr)
{
	return v && v->start < addr;
}

/*
 * *@at is what vma_find() gives for @addr, before and after. -ENOMEM; else nothing observable
 * changes.
 */
static __always_inline int split_at(struct mm *mm, struct vma **at, unsigned long addr)
{
	return is_inside(*at, addr) ? split_inside(mm, at, addr) : 0;
}

/* What vma_find() gives for @end, where @v is what it gives for a lower address. */
static struct vma *find_from(const struct mm *mm, struct vma *v, unsigned long end)
{
	if (v && v->end == end)
		return v->next;
	return v && v->end > end ? v : vma_find(&mm->vmas, end);
}

int split_around(struct mm *mm, unsigned long start, unsigned long end, struct vma **first)
{
	struct vma *v = vma_find(&mm->vmas, start), *last;
	int err;

	mmap_assert_write_locked(mm);
	err = is_at_limit(mm) && is_inside(v, start) ? -ENOMEM : split_at(mm, &v, start);
	*first = v;
	if (err)
		return err;
	last = find_from(mm, v, end);
	return is_at_limit(mm) && is_inside(last, end) ? -ENOMEM : split_at(mm, &last, end);
}

/*
 * For an unmap, which may split at the limit: only a hole in the middle of a VMA makes it one more.
 */
static int split_to_unmap(struct mm *mm, unsigned long start, unsigned long end, struct vma **first)
{
	struct vma *v = vma_find(&mm->vmas, start), *last;
	int err;

	mmap_assert_write_locked(mm);
	if (is_at_limit(mm) && is_inside(v, start) && v->end > end)
		return -ENOMEM;
	err = split_at(mm, &v, start);
	*first = v;
	if (err)
		return err;
	last = find_from(mm, v, end);
	return split_at(mm, &last, end);
}

/* Join VMAs from @v on up to @end, and that which begins there. */
static void merge_from(struct mm *mm, struct vma *v, unsigned long end)
{
	struct vma *next;

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

void merge_around(struct mm *mm, unsigned long start, unsigned long end)
{
	merge_from(mm, vma_find(&mm->vmas, start ? start - 1 : 0), end);
}

int layout_change_flags(struct mm *mm, unsigned long start, unsigned long end,
			struct flag_change *c)
{
	struct vma *first, *v;
	int err = split_around(mm, start, end, &first);

	c->changed = 0;
	for (v = first; v && v->start < end && !err; v = v->next) {
		unsigned long flags = (v->flags & ~c->clear) | c->set;

		if (v->flags & c->refused) {
			err = -EINVAL;
			break;
		}
		c->changed |= v->flags ^ flags;
		vma_start_write(v);
		v->flags = flags;
	}
	if (first)
		merge_from(mm, first->prev ? first->prev : first, end);
	return err;
}

/* Take VMAs, from @v on up to @end, where one begins, out of the mm; linked by `next`. */
static struct vma *detach_range(struct mm *mm, struct vma *v, unsigned long end)
{
	struct vma *first = NULL, **link = &first, *next;

	mmap_assert_write_locked(mm);
	for (; v && v->start < end; v = next) {
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
static void zap_detached(struct mm *mm, struct vma *list, struct gap gap)
{
	struct table_changes unlinked;
	struct mmu_gather tlb;
	struct vma *next;

	mmap_assert_locked(mm);
	table_changes_init(&unlinked);
	tlb_gather_mmu(&tlb, mm);
	for (struct vma *v = list; v; v = v->next)
		zap_page_range(&tlb, v, v->start, v->end, gap);
	/* Upwards: a table goes with the last VMA that uses it, so the next one is the ceiling. */
	spin_lock(&mm->page_table_lock);
	for (struct vma *v = list; v; v = v->next)
		free_pgtables(&tlb, &unlinked, v->start, v->end,
			      (struct gap){gap.floor, v->next ? v->next->start : gap.ceiling});
	table_changes_commit(&unlinked);
	spin_unlock(&mm->page_table_lock);
	tlb_finish_mmu(&tlb);
	for (; list; list = next) {
		next = list->next;
		vma_free(list);
	}
}

/* The free space around @addr, which no VMA covers. */
static struct gap free_space_around(const struct mm *mm, unsigned long addr)
{
	const struct vma *below = vma_find_below(&mm->vmas, addr);
	const struct vma *above = vma_find(&mm->vmas, addr);

	return (struct gap){below ? below->end : 0, above ? above->start : USER_END + PAGE_SIZE};
}

/* Not analysed: @lock says which one is held at the end. */
int unmap_range_locked(struct mm *mm, unsigned long start, unsigned long end, enum unmap_lock lock)
	__no_thread_safety
{
	struct gap gap = {0, 0};
	struct vma *list;
	int err = split_to_unmap(mm, start, end, &list);

	if (err) {
		merge_around(mm, start, end);
		return err;
	}
	list = detach_range(mm, list, end);
	if (list)
		gap = free_space_around(mm, start);
	if (lock == UNMAP_DOWNGRADE)
		mmap_write_downgrade(mm);
	if (list)
		zap_detached(mm, list, gap);
	return 0;
}

void unmap_everything(struct mm *mm)
{
	struct vma *list = detach_range(mm, mm->vmas.first, USER_END);

	if (list)
		zap_detached(mm, list, (struct gap){0, USER_END + PAGE_SIZE});
}

/* What the new VMA maps. -ENOMEM, or -EINVAL where the frames end. */
static int set_backing(struct vma *v, const struct mapping *m)
{
	unsigned long pages = (v->end - v->start) >> PAGE_SHIFT;

	if (m->frames) {
		if (m->pgoff > m->frames->count || pages > m->frames->count - m->pgoff)
			return -EINVAL;
		v->flags |= VM_PFNMAP;
		v->pgoff = m->frames->first_pfn + m->pgoff;
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

static bool has_room(const struct mm *mm, const struct mapping *m)
{
	unsigned long len = m->end - m->start;

	if (mm->vmas.count > MAX_MAP_COUNT)
		return false;
	return mm_may_grow(mm, len) || mm_may_grow(mm, len - covered_bytes(mm, m->start, m->end));
}

int layout_map(struct mm *mm, const struct mapping *m)
{
	struct vma *v;
	int err;

	if (!has_room(mm, m))
		return -ENOMEM;
	v = vma_alloc(mm, m->start, m->end, m->vm_flags);
	if (!v)
		return -ENOMEM;
	err = set_backing(v, m);
	if (!err)
		err = unmap_range_locked(mm, m->start, m->end, UNMAP_EXCLUSIVE);
	if (err) {
		vma_free(v);
		return err;
	}
	mm_insert_vma(mm, v);
	err = m->frames ? remap_pfn_range(v, v->start, v->end, pfn(v->pgoff)) : 0;
	if (err)
		unmap_range_locked(mm, m->start, m->end, UNMAP_EXCLUSIVE);
	else
		merge_from(mm, v->prev ? v->prev : v, m->end);
	return err;
}

/* All VMAs, then the tables and their entries. No fault may meanwhile find a page unshared. */
int layout_copy(struct mm *child, struct mm *mm)
{
	struct vma *copy, *last = NULL;

	for (struct vma *v = mm->vmas.first; v; v = v->next) {
		vma_start_write(v);
		if (v->flags & VM_DONTCOPY)
			continue;
		copy = vma_clone(v, child, v->start, v->end);
		if (!copy)
			return -ENOMEM;
		mm_append_vma(child, copy, last);
		last = copy;
	}
	return copy_page_tables(child, mm);
}
