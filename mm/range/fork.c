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
 * The bits that the child's entries of a VMA lose. The parent's may permit what their L2 entry does
 * not: the child's L2 entry permits all, so only the VMA's rights are kept.
 */
static u64 lost_by_child(unsigned long vm_flags)
{
	/* The D bit of a shared page stays with the entry through which it was written. */
	u64 lost = vm_flags & VM_SHARED ? _PAGE_DIRTY : 0;

	if ((vm_flags & (VM_SHARED | VM_WRITE)) == (VM_SHARED | VM_WRITE))
		return lost;
	return lost | _PAGE_RW;
}

/* What the child's entry for @pte is; the page gets its reference here. */
static __always_inline pte_t child_entry(pte_t pte, u64 lost)
{
	if (!pte_special(pte))
		get_page(pte_page(pte));
	return (pte_t){pte.v & ~lost};
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
		n += 4 * ptes_in_sum(pte_line_sum(table + i));
	return n >= pv_table_costs.fill_min;
}

/* Those of @v, from the parent's table into the child's, which is filled by plain stores. */
static void fill_entries(const struct table_pair *p, const struct vma *v, const pte_t *from,
			 pte_t *to)
{
	const pte_t *e = from + first_index(p, v), *end = from + end_index(p, v);
	const long apart = (char *)to - (char *)from;
	const u64 lost = lost_by_child(v->flags);

	for (; (e = pte_next_used(e, end)) != end; e++)
		plain_table_set(p->copy->to, p->block + (e - from) * PAGE_SIZE,
				(pte_t *)((char *)e + apart), child_entry(ptep_get(e), lost));
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

/* The same, of @v's entries one by one: the L2 entry stays as it is. */
static void protect_written(const struct table_pair *p, const struct vma *v, pte_t *from)
	__must_hold(ptl_role)
{
	const unsigned first = first_index(p, v), end = end_index(p, v);
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	for (unsigned i = first; i < end; i++) {
		pte_t pte = ptep_get(from + i);

		if (pte_present(pte) && pte_write(pte))
			ptep_modify_prot_commit(v->mm, p->block + i * PAGE_SIZE, from + i,
						pte_wrprotect(pte));
	}
	flush_tlb_range(v->mm, p->block + first * PAGE_SIZE, p->block + end * PAGE_SIZE);
	arch_leave_lazy_mmu_mode(state);
}

/* From an estimate by every fourth cache line: too few may be written for a swing to pay. */
static bool few_may_be_written(const pte_t *from)
{
	unsigned writable = 0, used = 0;

	for (unsigned i = 0; i < PTRS_PER_TABLE; i += 4 * PTES_PER_LINE)
		for (unsigned k = i; k < i + PTES_PER_LINE; k++) {
			writable += 4 * pte_write(ptep_get(from + k));
			used += 4 * pte_present(ptep_get(from + k));
		}
	return !swing_pays(writable, used);
}

/*
 * What happened since the last fork says what to expect of a table: a write that meets a page which
 * the child shares, or none, because the child was gone before. Of a table that no fork has shared
 * the others of the address space tell. Its lock is not taken: fork has marked all VMAs, so no
 * fault is under way.
 */
static bool expects_copies(const struct mm *mm, struct page *table)
{
	const u16 flags = table->pg_flags;

	table->pg_flags = (flags & ~PG_COPIED_FROM) | PG_FORKED;
	if (flags & (PG_COPIED_FROM | PG_FORKED))
		return flags & PG_COPIED_FROM;
	return mm->fork_history.expects_copies;
}

/* A fork begins: what followed the last one that says anything follows this one, too. */
static void recall_last_fork(struct fork_history *h)
{
	if (h->has_shared)
		h->expects_copies = h->has_copied;
	h->has_shared = h->has_copied = false;
}

/* How the parent's entries of private memory lose the right to write. */
enum protection {
	BY_LINK,    /* all at once, by their L2 entry */
	BY_ENTRIES, /* one by one */
	IN_A_COPY,  /* they have lost it in a copy, which has taken the table's place */
};

/*
 * A table to which the parent writes while the child lives is pushed down soon. Where that is cheap
 * it is left to the first write. Where tables are a hypervisor's it is the same work here, without
 * the L2 entry there and back if few entries may be written; and no write has to wait for it.
 */
static enum protection begin_protection(const struct table_pair *p)
{
	struct page *table = pfn_to_page(pmd_pfn(*p->pmd));
	struct mm *mm = p->first->mm;

	if (!expects_copies(mm, table) || !pv_owns_tables || !pmd_write(*p->pmd))
		return BY_LINK;
	if (few_may_be_written(page_to_virt(table)))
		return BY_ENTRIES;
	return pmd_push_down_early(mm, p->pmd, p->block) ? IN_A_COPY : BY_LINK;
}

static void protect(const struct table_pair *p, const struct vma *v, pte_t *from,
		    enum protection how) __must_hold(ptl_role)
{
	v->mm->fork_history.has_shared = true;
	if (how == BY_ENTRIES)
		protect_written(p, v, from);
	else if (how == BY_LINK)
		protect_table(p, v->mm);
}

static void fill_copy(const struct table_pair *p)
{
	const enum protection how = begin_protection(p);
	pte_t *to = page_to_virt(p->table), *from;
	struct spinlock *ptl;

	from = pte_offset_map_lock(p->pmd, p->block, &ptl);
	for_each_vma_below(v, p)
	{
		if (is_left_out(v))
			continue;
		if (is_cow(v->flags))
			protect(p, v, from, how);
		fill_entries(p, v, from, to);
	}
	pte_unmap_unlock(from, ptl);
	plain_table_adopt(p->copy->to, p->table);
	count(CNT_TABLES_FILLED);
}

/* Those of @v, in a section; the parent's lose RW, where it is no shared memory. */
static void copy_vma(const struct table_pair *p, const struct vma *v, pte_t *from, pte_t *to)
	__must_hold(ptl_role, lazy_mmu_role)
{
	const pte_t *e = from + first_index(p, v), *end = from + end_index(p, v);
	const long apart = (char *)to - (char *)from;
	const u64 lost = lost_by_child(v->flags);
	unsigned long start = 0, stop = 0; /* of the pages that may be written no longer */

	if (is_left_out(v))
		return;
	for (; (e = pte_next_used(e, end)) != end; e++) {
		unsigned long addr = p->block + (e - from) * PAGE_SIZE;
		pte_t pte = ptep_get(e);

		set_pte_at(p->copy->to, addr, (pte_t *)((char *)e + apart), child_entry(pte, lost));
		if (is_cow(v->flags) && pte_write(pte)) {
			ptep_modify_prot_commit(v->mm, addr, from + (e - from), pte_wrprotect(pte));
			if (!stop)
				start = addr;
			stop = addr + PAGE_SIZE;
		}
	}
	if (stop)
		flush_tlb_range(v->mm, start, stop);
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

	ASSERT(!family_is_one(c->to)); /* who writes a page that is shared here looks there */
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
	recall_last_fork(&src->fork_history);
	c.to = dst;
	c.done = 0;
	table_changes_init(&c.changes);
	for (struct vma *v = src->vmas.first; v && !err; v = v->next)
		if (!is_left_out(v))
			err = walk_pte_ranges(v, max(v->start, c.done), v->end, copy_pte_range, &c);
	table_changes_commit(&c.changes);
	return err;
}
