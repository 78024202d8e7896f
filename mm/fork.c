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

/* The state of a copy. */
struct copy {
	struct mm *to;
	struct vma *dst;     /* the child's of the VMA that is copied */
	struct page *table;  /* of the child: being filled, by plain stores, for `block`; or NULL */
	unsigned long block; /* the first address of the table looked at last */
	struct table_changes changes;
};

/*
 * Whether the child's PTE page is filled before anybody can reach it. All VMAs below it are copied,
 * and nobody changes the entries between two answers, so they all get the same one.
 */
static bool fills_table(pmd_t pmd)
{
	return whole_tables_enabled && table_holds(pmd, pv_table_costs.fill_min);
}

/* The child's table is complete. */
static void link_table(struct copy *c)
{
	if (c->table)
		BUG_ON(!plain_table_link(c->to, c->block, c->table));
	c->table = NULL;
}

/* The child's table for @addr: the one that is being filled, or a new one. NULL: no memory. */
static struct page *table_to_fill(struct copy *c, unsigned long addr)
{
	unsigned long block = addr & ~(PMD_SIZE - 1);

	if (c->table && c->block == block)
		return c->table;
	link_table(c);
	c->table = plain_table_alloc(c->to);
	c->block = block;
	return c->table;
}

/*
 * The parent's entries lose the right to write all at once, by their L2 entry, and before one of
 * them is copied. Those of other VMAs lose it too, and get it back at the fault that needs it.
 */
static int fill_pte_range(struct copy *c, struct vma *src, pmd_t *pmd, unsigned long addr,
			  unsigned long end)
{
	struct page *table = table_to_fill(c, addr);
	struct spinlock *ptl;
	pte_t *ptep, *to;

	if (!table)
		return -ENOMEM;
	to = (pte_t *)page_to_virt(table) + pte_index(addr);
	ptep = pte_offset_map_lock(pmd, addr, &ptl);
	if (!(src->flags & VM_SHARED)) {
		pfn_to_page(pmd_pfn(*pmd))->pg_flags |= PG_SHARED_BELOW;
		if (pmd_write(*pmd))
			pmd_wrprotect(src->mm, pmd, addr);
	}
	for (; addr != end; ptep++, to++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (!pte_none(pte))
			plain_table_set(c->to, addr, to, child_entry(src, pte));
	}
	pte_unmap_unlock(ptep - 1, ptl);
	return 0;
}

static int copy_pte_range(struct vma *src, pmd_t *pmd, unsigned long addr, unsigned long end,
			  void *arg)
{
	struct copy *c = arg;
	struct vma *dst = c->dst;
	bool cow = !(src->flags & VM_SHARED);
	pmd_t *dst_pmd = pmd_find(dst->mm, addr);
	struct spinlock *ptl, *dst_ptl;
	pte_t *ptep, *dst_ptep;
	lazy_mmu_state_t state;
	unsigned long start = addr;

	if (pmd_none(*dst_pmd))
		return fill_pte_range(c, src, pmd, addr, end);
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

static int prepare_pte_range(struct vma *src __unused, pmd_t *pmd, unsigned long addr,
			     unsigned long end, void *arg)
{
	struct copy *c = arg;
	unsigned long block = addr & ~(PMD_SIZE - 1);

	if (c->block != block) {
		c->block = block;
		c->changes.upper_only = fills_table(*pmd);
	}
	return tables_prepare(c->to, &c->changes, addr, end) ? 0 : -ENOMEM;
}

/* The tables that are not filled before they are linked, in one change of the upper levels. */
static int prepare_tables(struct copy *c, struct mm *src)
{
	int err = 0;

	spin_lock(&c->to->page_table_lock);
	for (struct vma *v = src->vmas.first; v && !err; v = v->next)
		err = walk_pte_ranges(v, v->start, v->end, prepare_pte_range, c);
	table_changes_commit(&c->changes);
	spin_unlock(&c->to->page_table_lock);
	return err;
}

int copy_page_tables(struct mm *dst, struct mm *src)
{
	struct copy c = {.to = dst, .dst = dst->vmas.first, .block = ~0UL};
	int err = prepare_tables(&c, src);

	for (struct vma *v = src->vmas.first; v && !err; v = v->next, c.dst = c.dst->next)
		err = walk_pte_ranges(v, v->start, v->end, copy_pte_range, &c);
	link_table(&c); /* also one that lacks entries: the child goes, and drops what it has */
	return err;
}
