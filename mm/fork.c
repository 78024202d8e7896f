/*
 * fork: copy the entries of a range into another address space.
 *
 * Locks: the parent's PTE page, then, nested, the child's. The child's mm is known to nobody yet,
 * so this order cannot meet its reverse.
 */
#include "mm/fork.h"

#include "kernel/errno.h"
#include "kernel/seeded.h"
#include "mm/lazy_mmu.h"
#include "mm/pgtable.h"
#include "mm/tables.h"
#include "mm/tlb.h"
#include "mm/walk.h"
#include "mm/whole_table.h"

/* What the child's entry for @pte is; the page gets its reference here. */
static pte_t child_entry(const struct vma *src, pte_t pte)
{
	if (!pte_special(pte))
		get_page(pte_page(pte));
	/* The D bit of a shared page stays with the entry through which it was written. */
	if (src->flags & VM_SHARED)
		return pte_mkclean(pte);
	return seeded(BUG_CHILD_WRITES) ? pte : pte_wrprotect(pte);
}

/* Whether the child gets a whole table at once. Nobody changes the entries between two answers. */
static bool copies_whole_table(pmd_t pmd, unsigned long addr, unsigned long end)
{
	return is_whole_table(addr, end) && table_holds(pmd, pv_table_costs.fill_min);
}

/*
 * The parent's entries lose the right to write all at once, by their L2 entry, and before one of
 * them is copied. The child's table is filled before anybody can reach it.
 */
static int copy_whole_table(struct vma *dst, struct vma *src, pmd_t *pmd, unsigned long addr)
{
	struct page *table = plain_table_alloc(dst->mm);
	struct spinlock *ptl;
	pte_t *ptep, *to;

	if (!table)
		return -ENOMEM;
	to = page_to_virt(table);
	ptep = pte_offset_map_lock(pmd, addr, &ptl);
	if (!(src->flags & VM_SHARED)) {
		pfn_to_page(pmd_pfn(*pmd))->pg_flags |= PG_SHARED_BELOW;
		if (pmd_write(*pmd))
			pmd_wrprotect(src->mm, pmd, addr);
	}
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (!pte_none(pte))
			plain_table_set(dst->mm, addr + i * PAGE_SIZE, to + i,
					child_entry(src, pte));
	}
	pte_unmap_unlock(ptep, ptl);
	BUG_ON(!plain_table_link(dst->mm, addr, table));
	return 0;
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

	if (pmd_none(*dst_pmd))
		return copy_whole_table(dst, src, pmd, addr);
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

struct copied_tables {
	struct mm *dst;
	struct table_changes changes;
};

static int prepare_pte_range(struct vma *src __unused, pmd_t *pmd, unsigned long addr,
			     unsigned long end, void *arg)
{
	struct copied_tables *c = arg;

	c->changes.upper_only = copies_whole_table(*pmd, addr, end);

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
