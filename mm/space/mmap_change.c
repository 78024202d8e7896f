/*
 * mprotect and madvise: changes to what is mapped already.
 *
 * Locks: mmap_lock for writing while the layout changes. mprotect then goes on as a reader, so that
 * its change of the entries races with faults; madvise is a reader from the start.
 */
#include "kernel/debug/unsupported.h"
#include "kernel/lib/errno.h"
#include "mm/range/mprotect.h"
#include "mm/range/populate.h"
#include "mm/range/whole_table.h"
#include "mm/range/zap.h"
#include "mm/space/layout_internal.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

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

/* PROT_GROWSDOWN: the change begins where the stack does that @addr lies in. -EINVAL, -ENOMEM. */
static int begin_of_stack(const struct mm *mm, unsigned long *addr, unsigned long end)
{
	const struct vma *v = vma_find(&mm->vmas, *addr);

	if (!v || v->start >= end)
		return -ENOMEM;
	*addr = v->start;
	return v->flags & VM_GROWSDOWN ? 0 : -EINVAL;
}

/* As on Linux, what lies before a hole is changed, and the hole is an error in the end. */
static int protect_range(struct mm *mm, unsigned long addr, unsigned long want, unsigned long prot)
	__no_thread_safety
{
	bool down = prot & PROT_GROWSDOWN, only_write;
	unsigned long end = want;
	int err;

	mmap_write_lock(mm);
	err = down ? begin_of_stack(mm, &addr, end) : 0;
	if (!err)
		end = covered_end(mm, addr, want);
	if (!err && end <= addr)
		err = -ENOMEM;
	if (!err && (prot & PROT_GROWSUP))
		err = -EINVAL; /* nothing grows up on x86 */
	if (!err)
		err = set_flags(mm, addr, end, prot_to_vm_flags(prot), &only_write);
	if (err) {
		mmap_write_unlock(mm);
		return err;
	}
	mmap_write_downgrade(mm);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end; v = v->next)
		change_protection(v, max(v->start, addr), min(v->end, end), only_write);
	mmap_read_unlock(mm);
	return end == want ? 0 : -ENOMEM;
}

long do_mprotect(unsigned long addr, unsigned long len, unsigned long prot)
{
	const unsigned long grows = PROT_GROWSDOWN | PROT_GROWSUP;

	if ((prot & grows) == grows || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	len = align_len(len);
	if (addr + len <= addr)
		return -ENOMEM;
	if (prot & ~(grows | PROT_SEM | VM_ACCESS))
		return -EINVAL;
	return protect_range(current->mm, addr, addr + len, prot);
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

/* Advices that are a flag of the VMA, for fork. */
static bool advice_flag(int advice, unsigned long *flag)
{
	switch (advice) {
	case MADV_DONTFORK:
	case MADV_DOFORK:
		*flag = VM_DONTCOPY;
		return true;
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
		*flag = VM_WIPEONFORK;
		return true;
	default:
		return false;
	}
}

/* As on Linux only private memory is wiped or freed, and a device's frames are no memory. */
static bool advice_fits(const struct vma *v, int advice)
{
	switch (advice) {
	case MADV_WIPEONFORK:
	case MADV_FREE:
		return !(v->flags & (VM_SHARED | VM_PFNMAP));
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_DODUMP:
	case MADV_DOFORK:
		return !(v->flags & VM_PFNMAP);
	default:
		return true;
	}
}

static int advise_vma(struct mmu_gather *tlb, struct vma *v, unsigned long start, unsigned long end,
		      int advice, bool exclusive)
{
	if (!advice_fits(v, advice))
		return -EINVAL;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		if (exclusive) {
			vma_start_write(v);
			discard_page_range(tlb, v, start, end);
		} else {
			zap_page_range(tlb, v, start, end, 0, 0);
		}
		return 0;
	default:
		return 0; /* a hint */
	}
}

/* Set or clear the flag of the VMAs in the range; holes as in advise_range(). */
static int advise_flags(struct mm *mm, unsigned long addr, unsigned long end, int advice,
			unsigned long flag)
{
	bool set = advice == MADV_DONTFORK || advice == MADV_WIPEONFORK;
	int hole = vma_covered(&mm->vmas, addr, end) ? 0 : -ENOMEM, err;

	err = split_around(mm, addr, end) ? -EAGAIN : 0;
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end && !err; v = v->next) {
		if (!advice_fits(v, advice)) {
			err = -EINVAL;
			break;
		}
		vma_start_write(v);
		v->flags = set ? v->flags | flag : v->flags & ~flag;
	}
	merge_around(mm, addr, end);
	return err ? err : hole;
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

/* 0, or -EINVAL for what Linux does not know either, or what would not be done. */
static int check_advice(int advice)
{
	if (advice >= MADV_NORMAL && advice <= MADV_DONTNEED)
		return 0;
	if (advice == MADV_FREE || (advice >= MADV_DONTFORK && advice <= MADV_DONTNEED_LOCKED))
		return 0;
	if (advice == MADV_REMOVE || advice == MADV_COLLAPSE || advice == MADV_HWPOISON ||
	    advice == MADV_SOFT_OFFLINE || advice == MADV_GUARD_INSTALL ||
	    advice == MADV_GUARD_REMOVE)
		return unsupported(EINVAL, "madvise: advice %d", advice);
	return -EINVAL;
}

static int advise(struct mm *mm, unsigned long addr, unsigned long end, int advice)
{
	bool exclusive = drops_tables(mm, addr, end, advice);
	unsigned long flag = 0;
	int err;

	if (advice_flag(advice, &flag)) {
		mmap_write_lock(mm);
		err = advise_flags(mm, addr, end, advice, flag);
		mmap_write_unlock(mm);
	} else if (exclusive) {
		mmap_write_lock(mm);
		err = advise_range(mm, addr, end, advice, true);
		mmap_write_unlock(mm);
	} else {
		mmap_read_lock(mm);
		err = advise_range(mm, addr, end, advice, false);
		mmap_read_unlock(mm);
	}
	return err;
}

long do_madvise(unsigned long addr, unsigned long len, int advice)
{
	struct mm *mm = current->mm;
	int err = check_advice(advice);

	if (err || (addr & ~PAGE_MASK))
		return err ? err : -EINVAL;
	if (!len)
		return 0;
	len = align_len(len);
	if (!len || addr + len < addr)
		return -EINVAL;
	if (advice == MADV_POPULATE_READ)
		return mm_populate(mm, addr, addr + len, POPULATE_READ);
	if (advice == MADV_POPULATE_WRITE)
		return mm_populate(mm, addr, addr + len, POPULATE_WRITE);
	return advise(mm, addr, addr + len, advice);
}
