/*
 * mprotect: give the entries of a range the rights of their VMA.
 *
 * The VMA's flags have changed already, under mmap_lock held for writing; it is held for reading
 * now, so faults race with this, and both arrive at the same entry under the PTE page's lock.
 */
#include "mm/range/mprotect.h"

#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/run.h"
#include "mm/range/whole_table.h"
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

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

/* Who may write may read: @pte is present. */
static __always_inline pte_t guard_shared(pte_t pte)
{
	return is_mapped_alone(pte) ? pte : pte_wrprotect(pte);
}

pte_t vma_pte_rights(const struct vma *vma, pte_t pte)
{
	const struct rights r = rights_of(vma);
	pte_t with = pte_modify(pte, r.prot);

	return r.ask_page ? guard_shared(with) : with;
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
	} else if (!(pfn_to_page(pmd_pfn(*pmd))->pg_flags & PG_SHARED_BELOW)) {
		pmd_mkwrite(vma->mm, pmd, addr);
	}
	pte_unmap_unlock(table, ptl);
	return done;
}

/* What the entries of a run have in common: a constant, so that none pays for what others need. */
enum run_kind {
	RUN_ABSENT,  /* they get no right at all */
	RUN_PRESENT, /* all get the same */
	RUN_ASK_PAGE /* whether one may be written is up to its page */
};

/* What the entries of [from, end) become, up to the first one that stays as it is. */
static __always_inline void collect_run(struct run *run, const pte_t *from, const pte_t *end,
					pgprot_t prot, enum run_kind kind)
{
	pte_t *to = run->pte;

	for (; from != end; from++) {
		pte_t old = ptep_get(from), new;

		if (kind != RUN_ABSENT && likely(pte_present(old)))
			new = present_pte_modify(old, prot);
		else if (!pte_none(old))
			new = pte_modify(old, prot);
		else
			break;
		new = kind == RUN_ASK_PAGE ? guard_shared(new) : new;
		if (new.v == old.v)
			break;
		*to++ = new;
	}
	run->n = to - run->pte;
}

static __always_inline void next_run(struct run *run, const pte_t *ptep, const pte_t *stop,
				     struct rights r)
{
	const pte_t *end = stop - ptep < RUN_MAX ? stop : ptep + RUN_MAX;

	if (r.ask_page)
		collect_run(run, ptep, end, r.prot, RUN_ASK_PAGE);
	else if (r.prot.v & _PAGE_PRESENT)
		collect_run(run, ptep, end, r.prot, RUN_PRESENT);
	else
		collect_run(run, ptep, end, r.prot, RUN_ABSENT);
}

/* The entries of [ptep, stop), the last of which ends at @end; and the flush of what changes. */
static void change_entries(struct mm *mm, pte_t *ptep, pte_t *stop, unsigned long end,
			   struct rights rights) __must_hold(ptl_role)
{
	const pte_t *first = NULL, *behind = NULL; /* of those that change */
	struct run run;

	while (ptep != stop) {
		if (pte_none(ptep_get(ptep))) {
			ptep++;
			continue;
		}
		next_run(&run, ptep, stop, rights);
		if (!run.n) {
			ptep++;
			continue;
		}
		run.ptep = ptep;
		run.addr = end - (stop - ptep) * PAGE_SIZE;
		first = first ? first : ptep;
		ptep += run.n;
		behind = ptep;
		run_commit(mm, &run);
	}
	if (first)
		flush_tlb_range(mm, end - (stop - first) * PAGE_SIZE,
				end - (stop - behind) * PAGE_SIZE);
}

/* A sample of the rule, in the long form of mm/range/pte_section.h. */
static int change_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			    void *arg)
{
	const enum rights_change *change = arg;
	const unsigned n = (end - addr) / PAGE_SIZE;
	struct spinlock *ptl;
	lazy_mmu_state_t state;
	pte_t *ptep;

	if (*change == RIGHTS_WRITE_ONLY && is_whole_table(addr, end) &&
	    change_whole_table(vma, pmd, addr))
		return 0;
	ptep = pte_offset_map_lock(pmd, addr, &ptl);
	state = arch_enter_lazy_mmu_mode();
	change_entries(vma->mm, ptep, ptep + n, end, rights_of(vma));
	arch_leave_lazy_mmu_mode(state);
	pte_unmap_unlock(ptep, ptl);
	return 0;
}

void change_protection(struct mm *mm, unsigned long start, unsigned long end,
		       enum rights_change change)
{
	mmap_assert_locked(mm);
	for (struct vma *v = vma_find(&mm->vmas, start); v && v->start < end; v = v->next)
		walk_pte_ranges(v, max(v->start, start), min(v->end, end), change_pte_range,
				&change);
}
