/*
 * mremap: move entries from one range to another.
 *
 * Locks: the old PTE page, then, nested, the new one; where both ranges lie in one page, that one
 * alone. mmap_lock is held for writing, so no two moves run in one mm and the order cannot reverse.
 */
#include "mm/mremap.h"

#include "kernel/errno.h"
#include "kernel/seeded.h"
#include "mm/lazy_mmu.h"
#include "mm/pgtable.h"
#include "mm/tables.h"
#include "mm/tlb.h"
#include "mm/walk.h"
#include "mm/whole_table.h"

struct move {
	unsigned long old, new; /* starts of the two ranges */
	struct table_changes changes;
};

/*
 * In a batch the D bit may still be set in the old entry after it was read: a writable entry is
 * moved as dirty. That a clean page is taken for a dirty one is harmless, the reverse is not. What
 * the L2 entry @pmd forbids the new one may not: there the entry itself must.
 */
static pte_t moved_entry(pte_t pte, pmd_t pmd)
{
	if (unlikely(!pmd_write(pmd)) && !seeded(BUG_MOVED_OPEN))
		pte = pte_wrprotect(pte);
	return pte_write(pte) ? pte_mkdirty(pte) : pte;
}

/* The section: [addr, end) lies in one PTE page, its image in the same one or in another. */
static void move_ptes(struct mm *mm, pmd_t pmd, pte_t *ptep, unsigned long addr, unsigned long end,
		      pte_t *new_ptep, unsigned long new_addr) __must_hold(ptl_role)
{
	unsigned long start = addr;
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	for (; addr != end; ptep++, new_ptep++, addr += PAGE_SIZE, new_addr += PAGE_SIZE) {
		if (pte_none(ptep_get(ptep)))
			continue;
		set_pte_at(mm, new_addr, new_ptep,
			   moved_entry(ptep_get_and_clear(mm, addr, ptep), pmd));
		if (seeded(BUG_RAW_READ) && !pte_none(ptep_get(ptep)))
			set_pte_at(mm, new_addr, new_ptep, ptep_get(ptep));
	}
	flush_tlb_range(mm, start, end);
	arch_leave_lazy_mmu_mode(state);
}

/* The locks of one page or of two, which clang's analysis cannot follow. */
static void lock_and_move(struct mm *mm, pmd_t *pmd, unsigned long addr, unsigned long end,
			  pmd_t *new_pmd, unsigned long new_addr) __no_thread_safety
{
	bool two = pmd != new_pmd;
	struct spinlock *ptl, *new_ptl = NULL;
	pte_t *ptep = pte_offset_map_lock(pmd, addr, &ptl);
	pte_t *new_ptep = two ? pte_offset_map_lock_nested(new_pmd, new_addr, &new_ptl)
			      : pte_offset(*new_pmd, new_addr);

	move_ptes(mm, *pmd, ptep, addr, end, new_ptep, new_addr);
	if (two)
		pte_unmap_unlock_nested(new_ptep, new_ptl);
	pte_unmap_unlock(ptep, ptl);
}

/* The end of the part of [addr, end) whose image lies in the same PTE page as that of @addr. */
static unsigned long part_end(const struct move *m, unsigned long addr, unsigned long end)
{
	unsigned long new_addr = m->new + (addr - m->old);

	return addr + (pmd_addr_end(new_addr, new_addr + (end - addr)) - new_addr);
}

/* A table whose image has the same place in its own block goes there by its link. */
static bool moves_whole_table(const struct move *m, unsigned long addr, unsigned long end)
{
	return is_whole_table(addr, end) && !((m->new - m->old) & (PMD_SIZE - 1));
}

/* The entries and their rights are the same there, so nothing else changes. */
static void move_whole_table(struct mm *mm, pmd_t *pmd, unsigned long addr, pmd_t *new_pmd,
			     unsigned long new_addr)
{
	struct table_change change[] = {{pmd, 0}, {new_pmd, pmd->v}};

	count(CNT_TABLES_MOVED);
	trace(TRACE_TABLE, mm, addr, 0);
	trace(TRACE_TABLE, mm, new_addr, pmd->v);
	spin_lock(&mm->page_table_lock);
	pv_set_tables(change, ARRAY_SIZE(change));
	spin_unlock(&mm->page_table_lock);
	if (!seeded(BUG_TABLE_MOVE_NO_FLUSH))
		flush_tlb_tables(mm, addr, addr + PMD_SIZE);
}

/* First pass: make the tables that the images need, so that the second cannot fail. */
static int prepare_pte_range(struct vma *vma, pmd_t *pmd __unused, unsigned long addr,
			     unsigned long end, void *arg)
{
	struct move *m = arg;
	unsigned long new_addr = m->new + (addr - m->old);

	m->changes.upper_only = moves_whole_table(m, addr, end);
	return tables_prepare(vma->mm, &m->changes, new_addr, new_addr + (end - addr)) ? 0
										       : -ENOMEM;
}

static int prepare_tables(struct vma *vma, struct move *m, unsigned long len)
{
	int err;

	spin_lock(&vma->mm->page_table_lock);
	err = walk_pte_ranges(vma, m->old, m->old + len, prepare_pte_range, m);
	table_changes_commit(&m->changes);
	spin_unlock(&vma->mm->page_table_lock);
	return err;
}

static int move_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			  void *arg)
{
	const struct move *m = arg;

	for (unsigned long next; addr < end; addr = next) {
		unsigned long new_addr = m->new + (addr - m->old);
		pmd_t *new_pmd = pmd_find(vma->mm, new_addr);

		next = part_end(m, addr, end);
		/* Else the first pass has made this very table, for an image: it is empty. */
		if (!new_pmd)
			continue;
		if (pmd_none(*new_pmd) && moves_whole_table(m, addr, next))
			move_whole_table(vma->mm, pmd, addr, new_pmd, new_addr);
		else if (!pmd_none(*new_pmd))
			lock_and_move(vma->mm, pmd, addr, next, new_pmd, new_addr);
	}
	return 0;
}

int move_page_tables(struct vma *vma, unsigned long old, unsigned long new, unsigned long len)
{
	struct move m = {.old = old, .new = new};
	int err = prepare_tables(vma, &m, len);

	return err ? err : walk_pte_ranges(vma, old, old + len, move_pte_range, &m);
}
