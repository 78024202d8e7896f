/*
 * The push-down: what an L2 entry forbids, the entries below it must, before it grants writing
 * again. Who needs to write below a table that mprotect or fork has write-protected does it.
 *
 * Nobody writes below the table until its L2 entry changes: so no CPU sets a D bit there, and
 * whoever took the right has made every TLB forget it before the lock was given back. Where tables
 * are the kernel's own the entries therefore follow by plain stores, without queue or flush; where
 * they are a hypervisor's, in a section. The L2 entry comes last, by a store that no CPU sees before
 * the others.
 *
 * A plain store could lose an A bit that a CPU sets at that moment. There is none to lose: entries
 * are born with it, and nothing takes it away, which is asserted. A page aging that clears A bits
 * would have to live with a page that looks old once too often, or lock these stores.
 *
 * Locks: the PTE page's; mmap_lock, or that of a VMA that covers the table.
 */
#include "mm/lazy/lazy_mmu.h"
#include "mm/range/family.h"
#include "mm/range/mprotect.h"
#include "mm/range/run.h"
#include "mm/range/whole_table.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

/* Which entries of a part lose RW, of those that have it. */
enum losers {
	LOSE_NONE,
	LOSE_SHARED, /* those whose page something else maps too */
	LOSE_ALL,
};

/* A table that is pushed down. */
struct push_down {
	struct mm *mm;
	unsigned long start; /* its first address */
	pte_t *table;
	enum losers private; /* of private memory that may be written */
};

static enum losers losers_of(const struct push_down *p, const struct vma *vma)
{
	if (!vma || !(vma->flags & VM_WRITE))
		return LOSE_ALL;
	return vma->flags & VM_SHARED ? LOSE_NONE : p->private;
}

/*
 * Private memory: without PG_SHARED_BELOW an entry with RW maps its page alone. Else, where the
 * page that is to be written is shared, most are, and one that is not costs its first write a
 * fault: looking at each page costs more than ten times the store.
 */
static enum losers private_losers(const struct mm *mm, pmd_t pmd, unsigned long addr)
{
	pte_t pte = ptep_get(pte_offset(pmd, addr));

	if (!(pfn_to_page(pmd_pfn(pmd))->pg_flags & PG_SHARED_BELOW) || family_is_one(mm))
		return LOSE_NONE;
	return !pv_owns_tables && pte_present(pte) && !is_mapped_alone(pte) ? LOSE_ALL
									    : LOSE_SHARED;
}

/* --- where tables are the kernel's own --- */

#ifdef CONFIG_DEBUG
/* The same, slowly: where another CPU is, nothing but the entry's RW bit may change. */
static void wrprotect_plainly(struct mm *mm, unsigned long addr, pte_t *ptep, unsigned n)
	__must_hold(ptl_role)
{
	ptep_assert_locked(ptep);
	for (unsigned i = 0; i < n; i++, addr += PAGE_SIZE) {
		pte_t old = ptep_get(ptep + i), new = pte_wrprotect(old);

		if (old.v == new.v)
			continue;
		preempt_point();
		trace(TRACE_MODIFY, mm_context(mm), addr, new.v);
		ASSERT(!pte_present(old) || (old.v & _PAGE_ACCESSED));
		count(CNT_PTE_UPDATES);
		owed_ptes(ptep + i, &new, 1, OWED_ALL);
		BUG_ON(xchg(&ptep[i].v, new.v) != old.v);
	}
}
#else
static void wrprotect_plainly(struct mm *mm __unused, unsigned long addr __unused, pte_t *ptep,
			      unsigned n) __must_hold(ptl_role)
{
	count_n(CNT_PTE_UPDATES, n);
#pragma GCC unroll 8
	for (pte_t *end = ptep + n; ptep != end; ptep++)
		ptep->v &= ~_PAGE_RW;
	barrier();
}
#endif

static void wrprotect_shared(struct mm *mm, unsigned long addr, pte_t *ptep, unsigned n)
	__must_hold(ptl_role)
{
	for (pte_t *end = ptep + n; ptep != end; ptep++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (pte_present(pte) && pte_write(pte) && !is_mapped_alone(pte))
			wrprotect_plainly(mm, addr, ptep, 1);
	}
}

static void push_down_plainly(const struct push_down *p, unsigned long addr, unsigned n,
			      enum losers losers) __must_hold(ptl_role)
{
	pte_t *first = p->table + pte_index(addr);

	if (losers == LOSE_ALL)
		wrprotect_plainly(p->mm, addr, first, n);
	else if (losers == LOSE_SHARED)
		wrprotect_shared(p->mm, addr, first, n);
}

/* --- where they are a hypervisor's --- */

static __always_inline void run_add(struct mm *mm, struct run *run, pte_t *ptep, unsigned long addr,
				    pte_t pte) __must_hold(ptl_role, lazy_mmu_role)
{
	if (run->n == RUN_MAX || run->ptep + run->n != ptep)
		run_commit(mm, run);
	if (!run->n) {
		run->ptep = ptep;
		run->addr = addr;
	}
	ASSERT(run->n < RUN_MAX);
	run->pte[run->n++] = pte;
}

/* The section. */
static void push_down_queued(const struct push_down *p, unsigned long addr, unsigned n,
			     enum losers losers) __must_hold(ptl_role)
{
	pte_t *ptep = p->table + pte_index(addr);
	struct run run = {.n = 0};
	lazy_mmu_state_t state;

	if (losers == LOSE_NONE)
		return;
	state = arch_enter_lazy_mmu_mode();
	for (pte_t *end = ptep + n; ptep != end; ptep++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (!pte_present(pte) || !pte_write(pte))
			continue;
		if (losers == LOSE_ALL || !is_mapped_alone(pte))
			run_add(p->mm, &run, ptep, addr, pte_wrprotect(pte));
	}
	run_commit(p->mm, &run);
	arch_leave_lazy_mmu_mode(state);
}

/* --- all parts of a table --- */

/* One VMA after the other from @vma on, and what lies between them. */
static void push_down_parts(const struct push_down *p, const struct vma *vma) __must_hold(ptl_role)
{
	const unsigned long end = p->start + PMD_SIZE;

	for (unsigned long addr = p->start, next; addr != end; addr = next) {
		bool inside = vma && vma->start <= addr;
		enum losers losers = losers_of(p, inside ? vma : NULL);

		next = end;
		if (vma)
			next = min(end, inside ? vma->end : vma->start);
		if (pv_owns_tables)
			push_down_queued(p, addr, (next - addr) / PAGE_SIZE, losers);
		else
			push_down_plainly(p, addr, (next - addr) / PAGE_SIZE, losers);
		if (inside && next != end)
			vma = vma->next;
	}
}

void pmd_push_down(const struct vma *vma, pmd_t *pmd, unsigned long addr)
{
	struct push_down p = {.mm = vma->mm, .start = pmd_start(addr)};
	struct spinlock *ptl;

	if (!covers_table(vma, addr)) {
		mmap_assert_locked(p.mm); /* it looks at all VMAs below the table */
		vma = vma_find(&p.mm->vmas, p.start);
	}
	p.table = pte_offset_map_lock(pmd, p.start, &ptl);
	if (!pmd_write(pmdp_get(pmd))) {
		count(CNT_TABLES_PUSHED_DOWN);
		p.private = private_losers(p.mm, *pmd, addr);
		push_down_parts(&p, vma);
		pmd_mkwrite(p.mm, pmd, p.start);
	}
	pte_unmap_unlock(p.table, ptl);
}
