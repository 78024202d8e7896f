/*
 * mprotect and madvise: changes to what is mapped already.
 *
 * Locks: mmap_lock for writing while the layout changes. mprotect then goes on as a reader, so that
 * its change of the entries races with faults; madvise is a reader from the start.
 */
#include "kernel/debug/unsupported.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"
#include "mm/layout/layout.h"
#include "mm/range/mprotect.h"
#include "mm/range/whole_table.h"
#include "mm/range/zap.h"
#include "mm/space/mmap.h"
#include "mm/space/mmap_flags.h"
#include "mm/space/populate.h"
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

/* Only the right to write comes or goes, and there is another one. */
static enum rights_change kind_of(const struct flag_change *rights)
{
	return (rights->set & ~VM_WRITE) && !(rights->changed & ~VM_WRITE) ? RIGHTS_WRITE_ONLY
									   : RIGHTS_ANY;
}

/* As on Linux, what lies before a hole is changed, and the hole is an error in the end. */
static int protect_range(struct mm *mm, unsigned long addr, unsigned long want, unsigned long prot)
{
	struct flag_change rights = {.clear = VM_ACCESS, .set = prot_to_vm_flags(prot)};
	unsigned long end = want;
	int err;

	mmap_write_lock(mm);
	err = prot & PROT_GROWSDOWN ? begin_of_stack(mm, &addr, end) : 0;
	if (!err)
		end = covered_end(mm, addr, want);
	if (!err && end <= addr)
		err = -ENOMEM;
	if (!err && (prot & PROT_GROWSUP))
		err = -EINVAL; /* nothing grows up on x86 */
	if (!err)
		err = layout_change_flags(mm, addr, end, &rights);
	if (err) {
		mmap_write_unlock(mm);
		return err;
	}
	mmap_write_downgrade(mm);
	change_protection(mm, addr, end, kind_of(&rights));
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

/* What an advice drops. */
enum drop {
	DROP_NOTHING, /* it is a hint */
	DROP_ENTRIES, /* mmap_lock is held for reading */
	DROP_TABLES,  /* whole tables, too; it is held for writing */
};

/*
 * Where whole tables go nobody else may be on the way to one. If the mm has other threads, all
 * their faults in the VMA would wait for it, so entries go, one by one, beside them. Only this
 * thread could start a second one.
 */
static enum drop drop_of(const struct mm *mm, unsigned long start, unsigned long end, int advice)
{
	if (advice != MADV_DONTNEED && advice != MADV_DONTNEED_LOCKED)
		return DROP_NOTHING;
	return advice == MADV_DONTNEED && whole_tables_enabled && atomic_read(&mm->users) == 1 &&
			       (end - start) >> PAGE_SHIFT >= pv_table_costs.drop_min
		       ? DROP_TABLES
		       : DROP_ENTRIES;
}

/* Advices that are a flag of the VMA, for fork: true, and what they do to it. */
static bool advice_flag(int advice, struct flag_change *c)
{
	switch (advice) {
	case MADV_DONTFORK:
		c->set = VM_DONTCOPY;
		return true;
	case MADV_DOFORK:
		c->clear = VM_DONTCOPY;
		return true;
	case MADV_WIPEONFORK:
		c->set = VM_WIPEONFORK;
		return true;
	case MADV_KEEPONFORK:
		c->clear = VM_WIPEONFORK;
		return true;
	default:
		return false;
	}
}

/*
 * The flags of VMAs that @advice does not fit: as on Linux only private memory is wiped or freed,
 * and a device's frames are no memory.
 */
static unsigned long unfit_flags(int advice)
{
	switch (advice) {
	case MADV_WIPEONFORK:
	case MADV_FREE:
		return VM_SHARED | VM_PFNMAP;
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_DODUMP:
	case MADV_DOFORK:
		return VM_PFNMAP;
	default:
		return 0;
	}
}

/* Around [start, end) of @v: what no VMA covers, and the range itself. */
static struct gap gap_around(const struct vma *v, unsigned long start, unsigned long end)
{
	struct gap gap = {start, end};

	if (start == v->start)
		gap.floor = v->prev ? v->prev->end : 0;
	if (end == v->end)
		gap.ceiling = v->next ? v->next->start : USER_END + PAGE_SIZE;
	return gap;
}

/* True if one table at least maps nothing but a part of [start, end), which lies in @gap. */
static bool has_whole_tables(unsigned long start, unsigned long end, struct gap gap)
{
	return is_within(start, PMD_SIZE, gap.floor, gap.ceiling) ||
	       is_within(end - 1, PMD_SIZE, gap.floor, gap.ceiling) ||
	       ALIGN_UP(start, PMD_SIZE) + PMD_SIZE <= end;
}

static void drop_range(struct mmu_gather *tlb, struct vma *v, unsigned long start,
		       unsigned long end, enum drop drop)
{
	struct gap gap = drop == DROP_TABLES ? gap_around(v, start, end) : NO_GAP;

	if (drop == DROP_TABLES && has_whole_tables(start, end, gap)) {
		vma_start_write(v);
		discard_page_range(tlb, v, start, end, gap);
	} else if (drop != DROP_NOTHING) {
		zap_page_range(tlb, v, start, end, NO_GAP);
	}
}

/* Holes as in advise_range(). */
static int advise_flags(struct mm *mm, unsigned long addr, unsigned long end, struct flag_change *c)
{
	int hole = vma_covered(&mm->vmas, addr, end) ? 0 : -ENOMEM;
	int err = layout_change_flags(mm, addr, end, c);

	if (err == -ENOMEM)
		return -EAGAIN;
	return err ? err : hole;
}

/* Holes do not stop the rest from being advised, but are an error in the end. */
static int advise_range(struct mm *mm, unsigned long addr, unsigned long end, unsigned long unfit,
			enum drop drop)
{
	struct mmu_gather tlb;
	int err = 0, hole = vma_covered(&mm->vmas, addr, end) ? 0 : -ENOMEM;

	tlb_gather_mmu(&tlb, mm);
	for (struct vma *v = vma_find(&mm->vmas, addr); v && v->start < end && !err; v = v->next) {
		if (v->flags & unfit)
			err = -EINVAL;
		else
			drop_range(&tlb, v, max(v->start, addr), min(v->end, end), drop);
	}
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
	struct flag_change change = {.refused = unfit_flags(advice)};
	enum drop drop = drop_of(mm, addr, end, advice);
	int err;

	if (advice_flag(advice, &change)) {
		mmap_write_lock(mm);
		err = advise_flags(mm, addr, end, &change);
		mmap_write_unlock(mm);
	} else if (drop == DROP_TABLES) {
		mmap_write_lock(mm);
		err = advise_range(mm, addr, end, change.refused, DROP_TABLES);
		mmap_write_unlock(mm);
	} else {
		mmap_read_lock(mm);
		err = advise_range(mm, addr, end, change.refused, drop);
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
