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
#include "mm/tables.h"
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
	pmd_t *dst_pmd = pmd_find(dst->mm, addr);
	struct spinlock *ptl, *dst_ptl;
	pte_t *ptep, *dst_ptep;
	lazy_mmu_state_t state;
	unsigned long start = addr;

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

void copy_page_range(struct vma *dst, struct vma *src)
{
	walk_pte_ranges(src, src->start, src->end, copy_pte_range, dst);
}

struct copied_tables {
	struct mm *dst;
	struct table_changes changes;
};

static int prepare_pte_range(struct vma *src __unused, pmd_t *pmd __unused, unsigned long addr,
			     unsigned long end, void *arg)
{
	struct copied_tables *c = arg;

	return tables_prepare(c->dst, &c->changes, addr, end) ? 0 : -ENOMEM;
}

int copy_tables(struct mm *dst, struct mm *src)
{
	struct copied_tables c = {.dst = dst};
	int err = 0;

	spin_lock(&dst->page_table_lock);
	for (struct vma *v = src->vmas.first; v && !err; v = v->next)
		err = walk_pte_ranges(v, v->start, v->end, prepare_pte_range, &c);
	table_changes_commit(&c.changes);
	spin_unlock(&dst->page_table_lock);
	return err;
}
