/*
 * fork: copy the entries of a range into another address space.
 *
 * PTE page by PTE page, with all VMAs below it: the child's are made, and linked at the end.
 *
 * Locks: the parent's PTE page, then, nested, the child's. The child's mm is known to nobody yet,
 * so this order cannot meet its reverse.
 */
#include "mm/range/fork.h"

#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"
#include "mm/lazy/tlb.h"
#include "mm/range/family.h"
#include "mm/range/pte_section.h"
#include "mm/range/whole_table.h"
#include "mm/table/tables.h"
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"

/*
 * What the child's entry for @pte is; the page gets its reference here. The parent's may permit
 * what its L2 entry does not: the child's L2 entry permits all, so only the VMA's rights are kept.
 */
static __always_inline pte_t child_entry(pte_t pte, unsigned long vm_flags)
{
	if (!pte_special(pte))
		get_page(pte_page(pte));
	/* The D bit of a shared page stays with the entry through which it was written. */
	if (vm_flags & VM_SHARED)
		pte = pte_mkclean(pte);
	if ((vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
		return pte;
	return pte_wrprotect(pte);
}

static bool is_cow(unsigned long vm_flags)
{
	return !(vm_flags & VM_SHARED);
}

/* The state of a copy. */
struct copy {
	struct mm *to;
	unsigned long done;	      /* where the part ends that is copied */
	struct table_changes changes; /* the links of the child's tables */
};

/* A PTE page of the parent's and its copy, which nothing links yet; and what the two map. */
struct table_pair {
	struct copy *copy;
	unsigned long block;	 /* its first address */
	const struct vma *first; /* of the VMAs below it */
	pmd_t *pmd;		 /* of the parent's */
	struct page *table;
};

/* MADV_DONTFORK and MADV_WIPEONFORK: the child gets none of these pages. */
static bool is_left_out(const struct vma *v)
{
	return v->flags & (VM_DONTCOPY | VM_WIPEONFORK);
}

/* The part of @v that lies in the block, as indices of entries. */
static unsigned first_index(const struct table_pair *p, const struct vma *v)
{
	return v->start > p->block ? pte_index(v->start) : 0;
}

static unsigned end_index(const struct table_pair *p, const struct vma *v)
{
	return min((v->end - p->block) >> PAGE_SHIFT, (unsigned long)PTRS_PER_TABLE);
}

#define for_each_vma_below(v, p)                                                                   \
	for (const struct vma *v = (p)->first; v && v->start < (p)->block + PMD_SIZE; v = v->next)

/*
 * From an estimate by every fourth cache line of entries: whether so many are in use that the
 * child's table had better be filled by plain stores.
 */
static bool holds_many(const struct table_pair *p)
{
	const pte_t *table = pte_offset(*p->pmd, 0);
	unsigned n = 0, pages = 0;

	for_each_vma_below(v, p) pages += end_index(p, v) - first_index(p, v);
	if (pages < pv_table_costs.fill_min)
		return false;
	for (unsigned i = 0; i < PTRS_PER_TABLE && n < pv_table_costs.fill_min;
	     i += 4 * PTES_PER_LINE)
		if (pte_line_used(table + i))
			for (unsigned k = i; k < i + PTES_PER_LINE; k++)
				n += 4 * !pte_none((pte_t){READ_ONCE(table[k].v)});
	return n >= pv_table_costs.fill_min;
}

/* The parent's and the child's table, and of both the entries [i, end) of one cache line. */
struct line_pair {
	pte_t *from, *to;
	unsigned i, end;
};

/* The entries of @l, into a table that is filled by plain stores. */
static __always_inline void fill_entries(const struct table_pair *p, unsigned long vm_flags,
					 struct line_pair l)
{
	for (unsigned i = l.i; i < l.end; i++) {
		pte_t pte = ptep_get(l.from + i);

		if (!pte_none(pte))
			plain_table_set(p->copy->to, p->block + i * PAGE_SIZE, l.to + i,
					child_entry(pte, vm_flags));
	}
}

/*
 * The parent's entries lose the right to write all at once, by their L2 entry, and before one of
 * them is copied. Those that are shared lose it too, and get it back at the fault that needs it.
 */
static void protect_table(const struct table_pair *p, struct mm *mm) __must_hold(ptl_role)
{
	pfn_to_page(pmd_pfn(*p->pmd))->pg_flags |= PG_SHARED_BELOW;
	if (pmd_write(*p->pmd))
		pmd_wrprotect(mm, p->pmd, p->block);
}

static void fill_copy(const struct table_pair *p)
{
	pte_t *to = page_to_virt(p->table), *from;
	struct spinlock *ptl;

	from = pte_offset_map_lock(p->pmd, p->block, &ptl);
	for_each_vma_below(v, p)
	{
		unsigned i = first_index(p, v), end = end_index(p, v);

		if (is_left_out(v))
			continue;
		if (is_cow(v->flags))
			protect_table(p, v->mm);
		for (; (i = pte_next_used_line(from, i, end)) < end; i = pte_line_end(i, end))
			fill_entries(p, v->flags,
				     (struct line_pair){from, to, i, pte_line_end(i, end)});
	}
	pte_unmap_unlock(from, ptl);
	plain_table_adopt(p->copy->to, p->table);
	count(CNT_TABLES_FILLED);
}

/* The entries of @l, in a section. True: some of the parent's lost RW. */
static __always_inline bool copy_entries(const struct table_pair *p, const struct vma *v,
					 struct line_pair l) __must_hold(ptl_role, lazy_mmu_role)
{
	const unsigned long vm_flags = v->flags;
	bool protects = false;

	for (unsigned i = l.i; i < l.end; i++) {
		unsigned long addr = p->block + i * PAGE_SIZE;
		pte_t pte = ptep_get(l.from + i);

		if (pte_none(pte))
			continue;
		set_pte_at(p->copy->to, addr, l.to + i, child_entry(pte, vm_flags));
		if (is_cow(vm_flags) && pte_write(pte)) {
			ptep_modify_prot_commit(v->mm, addr, l.from + i, pte_wrprotect(pte));
			protects = true;
		}
	}
	return protects;
}

static void copy_vma(const struct table_pair *p, const struct vma *v, pte_t *from, pte_t *to)
	__must_hold(ptl_role, lazy_mmu_role)
{
	unsigned first = first_index(p, v), end = end_index(p, v);
	bool protects = false;

	if (is_left_out(v))
		return;
	for (unsigned i = first; (i = pte_next_used_line(from, i, end)) < end;
	     i = pte_line_end(i, end))
		protects |=
			copy_entries(p, v, (struct line_pair){from, to, i, pte_line_end(i, end)});
	if (protects)
		flush_tlb_range(v->mm, p->block + first * PAGE_SIZE, p->block + end * PAGE_SIZE);
}

static void copy_table(const struct table_pair *p)
{
	pmd_t link = pmd_make(page_to_pfn(p->table), _PAGE_TABLE);
	struct pte_section_pair s;

	pte_section_pair_begin(&s, p->pmd, p->block, &link, p->block);
	for_each_vma_below(v, p) copy_vma(p, v, s.from, s.to);
	pte_section_pair_end(&s);
}

/*
 * The PTE page that @pmd links, with all VMAs below it, of which @src is the first. Nobody knows
 * the child, so its page_table_lock is not taken. A table that is complete is linked with all
 * others.
 */
static int copy_pte_range(struct vma *src, pmd_t *pmd, unsigned long addr,
			  unsigned long end __unused, void *arg)
{
	struct copy *c = arg;
	struct table_pair p = {c, pmd_start(addr), src, pmd, NULL};
	bool fills = whole_tables_enabled && holds_many(&p);
	pmd_t *link;

	if (task_is_ending())
		return -EINTR;
	link = tables_prepare_upper(c->to, &c->changes, addr);

	if (link)
		p.table = fills ? plain_table_alloc(c->to) : table_alloc(c->to, 1);
	if (!p.table)
		return -ENOMEM;
	if (fills)
		fill_copy(&p);
	else
		copy_table(&p);
	table_change(&c->changes, link, pmd_make(page_to_pfn(p.table), _PAGE_TABLE).v);
	c->done = p.block + PMD_SIZE;
	return 0;
}

/* After a failure too: the child goes, and drops what it has. */
int copy_page_tables(struct mm *dst, struct mm *src)
{
	struct copy c;
	int err;

	mmap_assert_write_locked(src);
	mmap_assert_write_locked(dst);
	err = family_join(dst, src);
	c.to = dst;
	c.done = 0;
	table_changes_init(&c.changes);
	for (struct vma *v = src->vmas.first; v && !err; v = v->next)
		if (!is_left_out(v))
			err = walk_pte_ranges(v, max(v->start, c.done), v->end, copy_pte_range, &c);
	table_changes_commit(&c.changes);
	return err;
}
