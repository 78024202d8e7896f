/*
 * mprotect: give the entries of a range the rights of their VMA.
 *
 * The VMA's flags have changed already, under mmap_lock held for writing; it is held for reading
 * now, so faults race with this, and both arrive at the same entry under the PTE page's lock.
 */
#include "mm/mprotect.h"

#include "kernel/seeded.h"
#include "mm/lazy_mmu.h"
#include "mm/tlb.h"
#include "mm/walk.h"
#include "mm/whole_table.h"

/* What the flags of a VMA grant, and whether writing depends on the page: private memory. */
struct rights {
	pgprot_t prot;
	bool ask_page;
};

static __always_inline struct rights rights_of(const struct vma *vma)
{
	pgprot_t prot = vm_page_prot(vma->flags);

	return (struct rights){prot, (prot.v & _PAGE_RW) && !(vma->flags & VM_SHARED)};
}

static __always_inline pte_t with_rights(pte_t pte, struct rights r)
{
	pte_t with = pte_modify(pte, r.prot);

	/* Who may write may read: it is present. */
	return r.ask_page && !is_mapped_alone(with) ? pte_wrprotect(with) : with;
}

pte_t vma_pte_rights(const struct vma *vma, pte_t pte)
{
	return with_rights(pte, rights_of(vma));
}

/*
 * The right to write, of a whole table, by its L2 entry. False: the entries must change. Where they
 * may map shared pages the L2 entry stays as it is, and the write fault pushes it down.
 */
static bool change_whole_table(struct vma *vma, pmd_t *pmd, unsigned long addr)
{
	struct spinlock *ptl;
	pte_t *table = pte_offset_map_lock(pmd, addr, &ptl);
	bool done = true;

	if (!(vma->flags & VM_WRITE)) {
		if (pmd_write(*pmd))
			pmd_wrprotect(vma->mm, pmd, addr);
	} else if (pmd_write(*pmd)) {
		done = false;
	} else if (!(pfn_to_page(pmd_pfn(*pmd))->pg_flags & PG_SHARED_BELOW) ||
		   seeded(BUG_RESTORES_SHARED)) {
		pmd_mkwrite(vma->mm, pmd, addr);
	}
	pte_unmap_unlock(table, ptl);
	return done;
}

static int change_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			    void *arg)
{
	const bool *only_write = arg;
	struct mm *mm = vma->mm;
	const struct rights rights = rights_of(vma);
	const unsigned n = (end - addr) / PAGE_SIZE;
	pte_t *ptep, *stop, *first = NULL, *last = NULL; /* the first and the last that change */
	struct spinlock *ptl;
	lazy_mmu_state_t state;

	if (*only_write && is_whole_table(addr, end) && change_whole_table(vma, pmd, addr))
		return 0;
	ptep = pte_offset_map_lock(pmd, addr, &ptl);
	state = arch_enter_lazy_mmu_mode();

	for (stop = ptep + n; ptep != stop; ptep++, addr += PAGE_SIZE) {
		pte_t old = ptep_modify_prot_start(mm, addr, ptep), new;

		if (pte_none(old))
			continue;
		new = with_rights(old, rights);
		if (new.v == old.v)
			continue;
		ptep_modify_prot_commit(mm, addr, ptep, old, new);
		first = first ? first : ptep;
		last = ptep;
	}
	if (first)
		flush_tlb_range(mm, end - (stop - first) * PAGE_SIZE,
				end - (stop - last - 1) * PAGE_SIZE);
#ifdef CONFIG_BUGS
	if (seeded(BUG_LEAVE_AFTER_UNLOCK)) {
		spin_unlock_preemptible(ptl);
		arch_leave_lazy_mmu_mode(state);
		return 0;
	}
#endif
	arch_leave_lazy_mmu_mode(state);
	pte_unmap_unlock(ptep - 1, ptl);
	return 0;
}

void change_protection(struct vma *vma, unsigned long start, unsigned long end, bool only_write)
{
	walk_pte_ranges(vma, start, end, change_pte_range, &only_write);
}
