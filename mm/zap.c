/*
 * Zap: clear the entries of a range, invalidate, free the pages. And the tables, when nothing can
 * use them any more.
 *
 * Locks: each PTE page's own for its entries; page_table_lock for unlinking tables.
 */
#include "mm/zap.h"

#include "kernel/seeded.h"
#include "mm/lazy_mmu.h"
#include "mm/tables.h"
#include "mm/walk.h"

static int zap_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			 void *arg)
{
	struct mmu_gather *tlb = arg;
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd, addr, &ptl);
	pte_t *table = ptep - pte_index(addr);
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	for (; addr != end; ptep++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (pte_none(pte))
			continue;
		pte = ptep_get_and_clear(vma->mm, addr, ptep);
#ifdef CONFIG_BUGS
		if (seeded(BUG_UNLOCK_IN_SECTION) && pte_index(addr) % 16 == 15) {
			pte_unmap_unlock(ptep, ptl);
			preempt_point();
			spin_lock_preemptible(ptl, 0);
		}
#endif
		if (pte_special(pte))
			tlb_remove_special(tlb, addr);
		else
			tlb_remove_page(tlb, addr, pte);
	}
	if (seeded(BUG_FREE_BEFORE_FLUSH))
		tlb_free_pages(tlb);
	tlb_flush_mmu(tlb);
	arch_leave_lazy_mmu_mode(state);
	if (!seeded(BUG_NO_HARVEST))
		tlb_harvest(tlb, table);
	pte_unmap_unlock(table, ptl);
	tlb_free_pages(tlb);
	return 0;
}

void zap_page_range(struct mmu_gather *tlb, struct vma *vma, unsigned long start, unsigned long end)
{
	walk_pte_ranges(vma, start, end, zap_pte_range, tlb);
}

/* One table goes if the block of addresses that it covers lies wholly in the free space. */
struct free_space {
	struct mmu_gather *tlb;
	unsigned long floor, ceiling;
	struct table_changes *changes;
};

static bool may_go(const struct free_space *f, unsigned long addr, unsigned long size)
{
	unsigned long block = ALIGN_DOWN(addr, size);

	return block >= f->floor && block + size <= f->ceiling;
}

/* Lower levels first; the three differ in types and names only. */
#define DEFINE_FREE_RANGE(lvl, LVL, free_below)                                                    \
	static void free_##lvl##_range(struct free_space *f, lvl##_t *entry, unsigned long addr,   \
				       unsigned long end)                                          \
	{                                                                                          \
		for (unsigned long next; addr != end; entry++, addr = next) {                      \
			lvl##_t e = *(volatile lvl##_t *)entry;                                    \
                                                                                                   \
			next = lvl##_addr_end(addr, end);                                          \
			if (lvl##_none(e))                                                         \
				continue;                                                          \
			free_below(f, e, addr, next);                                              \
			if (!may_go(f, addr, LVL##_SIZE))                                          \
				continue;                                                          \
			table_change(f->changes, entry, 0);                                        \
			tlb_remove_table(f->tlb, addr, pfn_to_page(lvl##_pfn(e)));                 \
		}                                                                                  \
	}

static void free_below_pmd(struct free_space *f __unused, pmd_t e __unused,
			   unsigned long addr __unused, unsigned long end __unused)
{
}
DEFINE_FREE_RANGE(pmd, PMD, free_below_pmd)

static void free_below_pud(struct free_space *f, pud_t e, unsigned long addr, unsigned long end)
{
	free_pmd_range(f, pmd_offset(e, addr), addr, end);
}
DEFINE_FREE_RANGE(pud, PUD, free_below_pud)

static void free_below_pgd(struct free_space *f, pgd_t e, unsigned long addr, unsigned long end)
{
	free_pud_range(f, pud_offset(e, addr), addr, end);
}
DEFINE_FREE_RANGE(pgd, PGD, free_below_pgd)

void free_pgtables(struct mmu_gather *tlb, struct table_changes *tc, unsigned long start,
		   unsigned long end, unsigned long floor, unsigned long ceiling)
{
	struct free_space f = {.tlb = tlb, .floor = floor, .ceiling = ceiling, .changes = tc};

	lockdep_assert_held(&tlb->mm->page_table_lock);
	free_pgd_range(&f, pgd_offset(tlb->mm, start), start, end);
}
