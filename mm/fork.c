/*
 * fork: copy the entries of a range into another address space.
 *
 * Locks: the parent's PTE page, then, nested, the child's. The child's mm is known to nobody yet,
 * so this order cannot meet its reverse.
 */
#include "mm/fork.h"

#include "kernel/errno.h"
#include "mm/lazy_mmu.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"
#include "mm/walk.h"

/* What the child's entry for @pte is; the page gets its reference here. */
static pte_t child_entry(const struct vma *src, pte_t pte)
{
	if (!pte_special(pte))
		get_page(pte_page(pte));
	/* The D bit of a shared page stays with the entry through which it was written. */
	if (src->flags & VM_SHARED)
		return pte_mkclean(pte);
	return pte_wrprotect(pte);
}

static int copy_pte_range(struct vma *src, pmd_t *pmd, unsigned long addr, unsigned long end,
			  void *arg)
{
	struct vma *dst = arg;
	bool cow = !(src->flags & VM_SHARED);
	pmd_t *dst_pmd = pmd_alloc(dst->mm, addr);
	struct spinlock *ptl, *dst_ptl;
	pte_t *ptep, *dst_ptep;
	lazy_mmu_state_t state;
	unsigned long start = addr;

	if (!dst_pmd || !pte_alloc(dst->mm, dst_pmd))
		return -ENOMEM;
	ptep = pte_offset_map_lock(pmd, addr, &ptl);
	dst_ptep = pte_offset_map_lock_nested(dst_pmd, addr, &dst_ptl);
	state = arch_enter_lazy_mmu_mode();

	for (; addr != end; ptep++, dst_ptep++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (pte_none(pte))
			continue;
		set_pte_at(dst->mm, addr, dst_ptep, child_entry(src, pte));
		if (cow && pte_write(pte))
			ptep_modify_prot_commit(src->mm, addr, ptep, pte, pte_wrprotect(pte));
	}
	if (cow)
		flush_tlb_range(src->mm, start, end);
	arch_leave_lazy_mmu_mode(state);
	pte_unmap_unlock_nested(dst_ptep - 1, dst_ptl);
	pte_unmap_unlock(ptep - 1, ptl);
	return 0;
}

int copy_page_range(struct vma *dst, struct vma *src)
{
	return walk_pte_ranges(src, src->start, src->end, copy_pte_range, dst);
}
