/*
 * The page-fault handler.
 *
 * What is found without the lock only decides what to prepare (a page, before the lock is taken).
 * Then the PTE page is locked and the entry read again; if it is not what was found, another CPU
 * was faster, or a batch of another CPU has become effective meanwhile: that is a spurious fault,
 * never an error, and the access is simply tried again. This is the other half of the rule in
 * lazy_mmu.h.
 *
 * Locks: the VMA's or, where the VMAs around matter too, mmap_lock for reading; then the PTE
 * page's.
 */
#include "mm/range/fault.h"

#include "kernel/lib/string.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/mprotect.h"
#include "mm/range/populate.h"
#include "mm/range/whole_table.h"
#include "mm/range/zeromap.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"

#define WRITE_WINDOW_MAX 16u

bool fault_neighbours_enabled = true;

struct fault {
	struct vma *vma;
	unsigned long addr; /* of the page */
	unsigned flags;
	pmd_t *pmd;
	pte_t orig; /* the entry, as it was found without the lock */
};

/* The rights of the access that faulted are there, at every level. */
static bool access_permitted(const struct fault *f, pte_t pte)
{
	pte = pte_narrow(pte, *f->pmd);
	if (!pte_present(pte) || !pte_user(pte))
		return false;
	if ((f->flags & FAULT_WRITE) && !pte_write(pte))
		return false;
	return !(f->flags & FAULT_EXEC) || pte_exec(pte);
}

/*
 * Lock the entry. NULL, with no lock held: it is not what was found any more, try the access again.
 */
static pte_t *lock_unchanged(const struct fault *f, struct spinlock **ptl)
	__try_acquires(1, ptl_role)
{
	pte_t *ptep = pte_offset_map_lock(f->pmd, f->addr, ptl);
	pte_t now = ptep_get(ptep);

	if (likely(now.v == f->orig.v))
		return ptep;
	if (access_permitted(f, now))
		count(CNT_SPURIOUS_FAULTS);
	pte_unmap_unlock(ptep, *ptl);
	return NULL;
}

/* Put @pte where there was none; false if another CPU was faster. */
static bool install(const struct fault *f, pte_t pte)
{
	struct spinlock *ptl;
	pte_t *ptep = lock_unchanged(f, &ptl);

	if (!ptep)
		return false;
	install_pte(f->vma->mm, f->addr, ptep, pte);
	pte_unmap_unlock(ptep, ptl);
	return true;
}

/*
 * How far this fault populates. Where a task's write faults follow each other through memory, each
 * one takes twice as many pages as the one before, so that less is populated for nothing than was
 * written.
 */
static unsigned long write_window_end(const struct fault *f)
{
	struct task *t = current;
	unsigned long end = min(pmd_addr_end(f->addr, USER_END), f->vma->end);

	t->write_window = f->addr == t->next_write && fault_neighbours_enabled
				  ? min(2 * t->write_window, WRITE_WINDOW_MAX)
				  : 1;
	t->next_write = min(end, f->addr + t->write_window * PAGE_SIZE);
	return t->next_write;
}

/* The page of the access and those behind it, in one section. */
static enum fault_result populate_window(const struct fault *f, unsigned long end)
{
	if (populate_entries(f->vma, f->pmd, f->addr, end))
		current->next_write = 0; /* out of memory: the access tries again, alone */
	return FAULT_OK;
}

static enum fault_result anonymous_fault(const struct fault *f)
{
	unsigned long end;
	pgprot_t prot = vm_page_prot(f->vma->flags);
	struct page *page;

	if (!(f->flags & FAULT_WRITE)) {
		install(f, pte_mkspecial(pte_wrprotect(mk_pte(zero_page, prot))));
		return FAULT_OK;
	}
	end = write_window_end(f);
	if (end != f->addr + PAGE_SIZE)
		return populate_window(f, end);
	page = alloc_page_zeroed(PAGE_USER);
	if (!page)
		return FAULT_OOM;
	if (!install(f, pte_mkdirty(mk_pte(page, prot))))
		put_page(page);
	return FAULT_OK;
}

/* Shared memory is mapped with all its rights at once; the D bit tells later who wrote. */
static enum fault_result shared_fault(const struct fault *f)
{
	const struct vma *vma = f->vma;
	unsigned long index = vma->pgoff + ((f->addr - vma->start) >> PAGE_SHIFT);
	struct page *page;

	if (unlikely(index >= shmem_pages(vma->shmem)))
		return FAULT_BUS;
	page = shmem_get_page(vma->shmem, index);
	if (!page)
		return FAULT_OOM;
	if (!install(f, mk_pte(page, vm_page_prot(vma->flags))))
		put_page(page);
	return FAULT_OK;
}

/*
 * Another page takes the place of the one that this entry maps read-only. If the mm has other
 * threads the entry is cleared and the TLBs are flushed before the new one is set: else a thread
 * that already sees the new page could write it, and another one still read the old. Only this
 * thread could start a second one, so the count of users tells. The section makes one call of the
 * update and its flush.
 */
static void replace_page(const struct fault *f, pte_t *ptep, pte_t pte) __must_hold(ptl_role)
{
	struct mm *mm = f->vma->mm;
	bool alone = atomic_read(&mm->users) == 1;
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	if (alone)
		set_pte_at(mm, f->addr, ptep, pte);
	else
		ptep_get_and_clear(mm, f->addr, ptep);
	flush_tlb_page(mm, f->addr);
	arch_leave_lazy_mmu_mode(state);
	if (!alone)
		install_pte(mm, f->addr, ptep, pte);
}

/* For the next fork: a write met a page that somebody shares, below @table, which is locked. */
static void note_copy(struct mm *mm, struct page *table)
{
	table->pg_flags |= PG_COPIED_FROM;
	if (table->pg_flags & PG_FORKED)
		WRITE_ONCE(mm->fork_history.has_copied, true);
}

static enum fault_result cow_copy(const struct fault *f)
{
	pgprot_t prot = vm_page_prot(f->vma->flags);
	struct page *new = alloc_page(PAGE_USER), *old = NULL;
	struct spinlock *ptl;
	pte_t *ptep;

	if (!new)
		return FAULT_OOM;
	ptep = lock_unchanged(f, &ptl);
	if (!ptep) {
		put_page(new);
		return FAULT_OK;
	}
	note_copy(f->vma->mm, ptl_page(ptl));
	/* Under the lock the old page stays mapped here, and nobody can write it. */
	copy_page(page_to_virt(new), page_to_virt(pte_page(f->orig)));
	replace_page(f, ptep, pte_mkdirty(mk_pte(new, prot)));
	if (!pte_special(f->orig))
		old = pte_page(f->orig);
	pte_unmap_unlock(ptep, ptl);
	count(CNT_COW_COPIES);
	if (old) {
		if (pte_dirty(f->orig))
			page_set_dirty(old);
		put_page(old);
	}
	return FAULT_OK;
}

/*
 * The entry maps the right page with too few rights: those that the VMA grants, it gets. Mostly the
 * TLB needs no flush, because a CPU that still has the fewer rights faults and finds more. But
 * where mprotect has changed the VMA and is on its way to the entry, the VMA may take a right, too;
 * it will find nothing to do here then, and not flush.
 */
static enum fault_result widen(const struct fault *f, pte_t rights)
{
	struct spinlock *ptl;
	pte_t *ptep = lock_unchanged(f, &ptl);

	if (!ptep)
		return FAULT_OK;
	rights = pte_mkyoung(rights);
	if (f->flags & FAULT_WRITE) /* A and D are set then: the CPU adds nothing to be kept */
		install_pte(f->vma->mm, f->addr, ptep, pte_mkdirty(rights));
	else
		ptep_modify_prot_commit(f->vma->mm, f->addr, ptep, rights);
	if (unlikely(pte_narrows(f->orig, rights)))
		flush_tlb_page(f->vma->mm, f->addr);
	pte_unmap_unlock(ptep, ptl);
	return FAULT_OK;
}

/* The entry holds a frame, and the access is not permitted by it. */
static enum fault_result rights_fault(const struct fault *f)
{
	pte_t rights = vma_pte_rights(f->vma, f->orig);

	if (access_permitted(f, rights)) {
		if (!(f->vma->flags & VM_SHARED) && (f->flags & FAULT_WRITE))
			count(CNT_COW_REUSES);
		return widen(f, rights);
	}
	/* All that the VMA grants is not enough: private memory whose page is shared. */
	if (pte_present(f->orig))
		return cow_copy(f);
	return widen(f, rights);
}

/* The lock that @flags say; the other one does not do, since it guards other VMAs or fewer. */
static void assert_fault_locked(const struct vma *vma, unsigned flags)
{
	if (flags & FAULT_VMA_LOCK)
		lockdep_assert_held(vma);
	else
		mmap_assert_locked(vma->mm);
}

enum fault_result handle_mm_fault(struct vma *vma, unsigned long addr, unsigned flags)
{
	struct fault f = {.vma = vma, .addr = addr & PAGE_MASK, .flags = flags};

	assert_fault_locked(vma, flags);
	f.pmd = pmd_alloc(vma->mm, addr);
	if (unlikely(!f.pmd))
		return FAULT_OOM;
	if (unlikely((flags & FAULT_WRITE) && !pmd_write(*f.pmd))) {
		if ((flags & FAULT_VMA_LOCK) && !covers_table(vma, addr))
			return FAULT_RETRY;
		pmd_push_down(vma, f.pmd, addr);
	}
	f.orig = ptep_get(pte_offset(pmdp_get(f.pmd), addr));
	if (pte_none(f.orig))
		return vma->shmem ? shared_fault(&f) : anonymous_fault(&f);
	if (access_permitted(&f, f.orig)) {
		count(CNT_SPURIOUS_FAULTS);
		return FAULT_OK;
	}
	return rights_fault(&f);
}
