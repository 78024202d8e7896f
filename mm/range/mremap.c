/*
 * mremap: move entries from one range to another; or, where all that a PTE page maps moves, the
 * page as a whole, by its link if it may keep its indices, else by mm/range/shift.h.
 *
 * Locks: the old PTE page, then, nested, the new one; where both ranges lie in one page, that one
 * alone. mmap_lock is held for writing, so no two moves run in one mm and the order cannot reverse.
 */
#include "mm/range/mremap.h"

#include "kernel/lib/errno.h"
#include "mm/lazy/tlb.h"
#include "mm/range/pte_section.h"
#include "mm/range/shift.h"
#include "mm/range/whole_table.h"
#include "mm/table/tables.h"
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"

struct move {
	unsigned long old, new;	      /* starts of the two ranges */
	unsigned long floor, ceiling; /* nothing else is mapped between, but the old range */
	unsigned long upper_end;      /* so far the new range has tables of the upper levels */
	struct table_changes changes;
	struct shift shift;
};

/*
 * In a batch the D bit may still be set in the old entry after it was read: a writable entry is
 * moved as dirty. That a clean page is taken for a dirty one is harmless, the reverse is not. What
 * the L2 entry @pmd forbids the new one may not: there the entry itself must.
 */
static pte_t moved_entry(pte_t pte, pmd_t pmd)
{
	if (unlikely(!pmd_write(pmd)))
		pte = pte_wrprotect(pte);
	return pte_write(pte) ? pte_mkdirty(pte) : pte;
}

/* [addr, end) lies in the one PTE page that @pmd links, and its image in that of @new_pmd. */
struct part {
	pmd_t *pmd, *new_pmd; /* they may be the same */
	unsigned long addr, end, new_addr;
};

/* The section. */
static void move_ptes(struct mm *mm, const struct part *p)
{
	struct pte_section_pair s;
	pte_t *ptep, *new_ptep;
	pmd_t pmd;

	pte_section_pair_begin(&s, p->pmd, p->addr, p->new_pmd, p->new_addr);
	ptep = s.from;
	new_ptep = s.to;
	pmd = *p->pmd;
	for (unsigned long addr = p->addr, new_addr = p->new_addr; addr != p->end;
	     ptep++, new_ptep++, addr += PAGE_SIZE, new_addr += PAGE_SIZE) {
		if (pte_none(ptep_get(ptep)))
			continue;
		set_pte_at(mm, new_addr, new_ptep,
			   moved_entry(ptep_get_and_clear(mm, addr, ptep), pmd));
	}
	flush_tlb_range(mm, p->addr, p->end);
	pte_section_pair_end(&s);
}

/* The end of the part of [addr, end) whose image lies in the same PTE page as that of @addr. */
static unsigned long part_end(const struct move *m, unsigned long addr, unsigned long end)
{
	unsigned long new_addr = m->new + (addr - m->old);

	return addr + (pmd_addr_end(new_addr, new_addr + (end - addr)) - new_addr);
}

/* True if the table of @addr maps nothing that does not move. */
static bool moves_whole(const struct move *m, unsigned long addr)
{
	return whole_tables_enabled && is_within(addr, PMD_SIZE, m->floor, m->ceiling);
}

/* True if each entry keeps its index: then a table goes there by its link. */
static bool keeps_indices(const struct move *m)
{
	return !((m->new - m->old) & (PMD_SIZE - 1));
}

/*
 * The entries and their rights are the same there, so nothing else changes. False: there is a table
 * by now, made for a neighbouring VMA.
 */
static bool move_by_link(struct mm *mm, const struct part *p)
{
	struct table_change change[] = {{p->pmd, 0}, {p->new_pmd, p->pmd->v}};
	unsigned long block = pmd_start(p->addr);
	bool free;

	spin_lock(&mm->page_table_lock);
	free = pmd_none(pmdp_get(p->new_pmd));
	if (free) {
		trace(TRACE_TABLE, mm_context(mm), block, 0);
		trace(TRACE_TABLE, mm_context(mm), pmd_start(p->new_addr), p->pmd->v);
		pv_set_tables(change, ARRAY_SIZE(change));
		count(CNT_TABLES_MOVED);
	}
	spin_unlock(&mm->page_table_lock);
	if (free)
		flush_tlb_tables(mm, block, block + PMD_SIZE);
	return free;
}

/* What goes there whole needs no PTE pages; upper levels serve many. -ENOMEM. */
static int prepare_image(struct mm *mm, struct move *m, unsigned long addr, unsigned long end,
			 enum table_levels levels)
{
	if (levels == TABLES_UPPER && end <= m->upper_end)
		return 0;
	m->changes.levels = levels;
	m->upper_end = ALIGN_UP(end, PUD_SIZE);
	return tables_prepare(mm, &m->changes, addr, end);
}

/* First pass: make the tables that the images need, so that the second cannot fail. */
static int prepare_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			     void *arg)
{
	struct move *m = arg;
	unsigned long new_addr = m->new + (addr - m->old), len = end - addr;
	bool whole = moves_whole(m, addr);
	int err = 0;

	if (whole && !keeps_indices(m)) {
		whole = table_holds(*pmd, pv_table_costs.shift_min);
		if (whole)
			err = shift_reserve(&m->shift, *pmd, new_addr, len);
		else
			shift_leave_alone(*pmd);
	}
	return err ? err
		   : prepare_image(vma->mm, m, new_addr, new_addr + len,
				   whole ? TABLES_UPPER : TABLES_ALL);
}

/* In parts: a bound on the time that page_table_lock is held. */
static int prepare_tables(struct vma *vma, struct move *m, unsigned long len)
{
	int err = 0;

	for (unsigned long addr = m->old, end = m->old + len, next; addr < end && !err;
	     addr = next) {
		next = pud_addr_end(addr, end);
		spin_lock(&vma->mm->page_table_lock);
		err = walk_pte_ranges(vma, addr, next, prepare_pte_range, m);
		table_changes_commit(&m->changes);
		spin_unlock(&vma->mm->page_table_lock);
	}
	return err;
}

static void move_part(struct mm *mm, struct move *m, const struct part *p)
{
	/* Without a table there, the first pass has made this one, for an image: it is empty. */
	if (!p->new_pmd)
		return;
	if (keeps_indices(m) && moves_whole(m, p->addr) && move_by_link(mm, p))
		return;
	if (!pmd_none(pmdp_get(p->new_pmd)))
		move_ptes(mm, p);
}

static int move_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			  void *arg)
{
	struct move *m = arg;

	if (moves_whole(m, addr) && !keeps_indices(m) && is_shifted(*pmd)) {
		shift_table(&m->shift,
			    (struct shifted){pmd, addr, m->new + (addr - m->old), end - addr});
		return 0;
	}
	for (unsigned long next; addr < end; addr = next) {
		unsigned long new_addr = m->new + (addr - m->old);

		next = part_end(m, addr, end);
		move_part(vma->mm, m,
			  &(struct part){pmd, pmd_find(vma->mm, new_addr), addr, next, new_addr});
	}
	return 0;
}

/* Field by field: what is collected in arrays needs no clearing. */
static void move_init(struct move *m, const struct vma *vma, unsigned long old, unsigned long new)
{
	m->old = old;
	m->new = new;
	m->floor = vma->prev ? vma->prev->end : 0;
	m->ceiling = vma->next ? vma->next->start : USER_END + PAGE_SIZE;
	m->upper_end = 0;
	table_changes_init(&m->changes);
	shift_init(&m->shift, vma->mm);
}

int move_page_tables(struct vma *vma, unsigned long old, unsigned long new, unsigned long len)
{
	struct move m;
	int err;

	mmap_assert_write_locked(vma->mm);
	ASSERT(vma->start == old && vma->end == old + len);
	move_init(&m, vma, old, new);
	err = prepare_tables(vma, &m, len);
	if (!err)
		err = walk_pte_ranges(vma, old, old + len, move_pte_range, &m);
	shift_finish(&m.shift);
	return err;
}
