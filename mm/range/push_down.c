/*
 * The push-down: what an L2 entry forbids, the entries below it must, before it grants writing
 * again. Who needs to write below a table that mprotect or fork has write-protected does it.
 *
 * Nobody writes below the table until its L2 entry changes: so no CPU sets a D bit there, and
 * whoever took the right has made every TLB forget it before the lock was given back. What is read
 * is final therefore, but for the RW bits that change here, and there are three ways:
 *
 *  - Where tables are the kernel's own the entries follow by plain stores, without queue or flush.
 *    The L2 entry comes last, by a store that no CPU sees before the others.
 *  - Where they are a hypervisor's, and many entries change, a copy of the table is changed by
 *    plain stores, handed over, and swung in by one change of the L2 entry; the old one is plain
 *    memory then, and is compared in debug builds. Whoever waits for the lock of the old one would
 *    hold a lock of nothing: so only a task that is alone in its address space swings, or who holds
 *    mmap_lock for writing and so keeps all faults out.
 *  - Else in a section.
 *
 * A plain store could lose an A bit that a CPU sets at that moment, and so could a copy. There is
 * none to lose: entries are born with it, and nothing takes it away, which is asserted. A page aging
 * that clears A bits would have to live with a page that looks old once too often; or lock the
 * stores, and harvest the old table when it is plain.
 *
 * Locks: the PTE page's; mmap_lock, or that of a VMA that covers the table. In a swing
 * page_table_lock, for the link, and not the PTE page's.
 */
#include "kernel/lib/string.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
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
	unsigned long addr;  /* that is to be written */
	pte_t *table;	     /* whose entries change */
	enum losers private; /* of private memory that may be written */
};

static enum losers losers_of(const struct push_down *p, const struct vma *vma)
{
	if (!vma || !(vma->flags & VM_WRITE))
		return LOSE_ALL;
	return vma->flags & VM_SHARED ? LOSE_NONE : p->private;
}

/*
 * Of private memory. Without PG_SHARED_BELOW an entry with RW maps its page alone. Else, where the
 * page that is to be written is shared, most are, and one that is not costs its first write a
 * fault: looking at each page costs more than ten times the store.
 */
static enum losers private_losers(const struct push_down *p, pmd_t pmd)
{
	pte_t pte = ptep_get(p->table + pte_index(p->addr));

	if (!(pfn_to_page(pmd_pfn(pmd))->pg_flags & PG_SHARED_BELOW) || family_is_one(p->mm))
		return LOSE_NONE;
	return pte_present(pte) && !is_mapped_alone(pte) ? LOSE_ALL : LOSE_SHARED;
}

/* The table that @pmd links is the one; nobody changes it. */
static void table_is(struct push_down *p, pmd_t pmd)
{
	p->table = pte_offset(pmd, 0);
	p->private = private_losers(p, pmd);
}

static __always_inline bool loses(pte_t pte, enum losers losers)
{
	return pte_present(pte) && pte_write(pte) && (losers == LOSE_ALL || !is_mapped_alone(pte));
}

/* Part of a table: @n entries from that of @addr on, which one VMA maps or none. */
struct part {
	unsigned long addr;
	unsigned n;
	enum losers losers;
};
typedef void (*part_fn)(const struct push_down *p, struct part part, void *arg);

static pte_t *first_of(const struct push_down *p, struct part part)
{
	return p->table + pte_index(part.addr);
}

/* One VMA after the other from @vma on, and what lies between them. */
static __always_inline void for_each_part(const struct push_down *p, const struct vma *vma,
					  part_fn fn, void *arg)
{
	const unsigned long end = p->start + PMD_SIZE;

	for (unsigned long addr = p->start, next; addr != end; addr = next) {
		bool inside = vma && vma->start <= addr;
		enum losers losers = losers_of(p, inside ? vma : NULL);

		if (inside)
			vma_assert_locked(vma);
		next = end;
		if (vma)
			next = min(end, inside ? vma->end : vma->start);
		fn(p, (struct part){addr, (next - addr) / PAGE_SIZE, losers}, arg);
		if (inside && next != end)
			vma = vma->next;
	}
}

/* --- by plain stores: the kernel's own tables, and what nothing links --- */

#ifdef CONFIG_DEBUG
/* The same, slowly: where another CPU is, nothing but the entry's RW bit may change. */
static void wrprotect_plainly(struct mm *mm, unsigned long addr, pte_t *ptep, unsigned n)
{
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
			      unsigned n)
{
	count_n(CNT_PTE_UPDATES, n);
#pragma GCC unroll 8
	for (pte_t *end = ptep + n; ptep != end; ptep++)
		ptep->v &= ~_PAGE_RW;
	barrier();
}
#endif

static void push_down_plainly(const struct push_down *p, struct part part, void *arg __unused)
{
	pte_t *ptep = first_of(p, part);

	if (part.losers == LOSE_NONE)
		return;
	if (part.losers == LOSE_ALL) {
		wrprotect_plainly(p->mm, part.addr, ptep, part.n);
		return;
	}
	for (unsigned i = 0; i < part.n; i++)
		if (loses(ptep_get(ptep + i), part.losers))
			wrprotect_plainly(p->mm, part.addr + i * PAGE_SIZE, ptep + i, 1);
}

/* --- in a section --- */

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

/* Not analysed: the lock is held by who goes through the parts. */
static void push_down_queued(const struct push_down *p, struct part part, void *arg __unused)
	__no_thread_safety
{
	pte_t *ptep = first_of(p, part);
	struct run run = {.n = 0};
	lazy_mmu_state_t state;

	if (part.losers == LOSE_NONE)
		return;
	state = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < part.n; i++) {
		pte_t pte = ptep_get(ptep + i);

		if (loses(pte, part.losers))
			run_add(p->mm, &run, ptep + i, part.addr + i * PAGE_SIZE,
				pte_wrprotect(pte));
	}
	run_commit(p->mm, &run);
	arch_leave_lazy_mmu_mode(state);
}

/* --- by a copy that is swung in --- */

/* What an estimate finds, of the parts of which entries may lose RW. */
#define LINES_PER_SAMPLE 8
struct estimate {
	unsigned losers, used;
};

static void add_estimate(const struct push_down *p, struct part part, void *arg)
{
	struct estimate *e = arg;
	unsigned i = pte_index(part.addr), end = i + part.n;

	if (part.losers == LOSE_NONE)
		return;
	for (; i < end; i++) {
		pte_t pte = {READ_ONCE(p->table[i].v)};

		if (i & (LINES_PER_SAMPLE - 1) * PTES_PER_LINE) { /* on to the next sample */
			i |= LINES_PER_SAMPLE * PTES_PER_LINE - 1;
			continue;
		}
		e->used += LINES_PER_SAMPLE * pte_present(pte);
		e->losers += LINES_PER_SAMPLE * loses(pte, part.losers);
	}
}

static bool is_worth_a_swing(const struct push_down *p, const struct vma *vma)
{
	struct estimate e = {0};

	for_each_part(p, vma, add_estimate, &e);
	return swing_pays(e.losers, e.used);
}

#ifdef CONFIG_DEBUG
/* Another thread may write shared memory through the copy, whose entries keep RW. */
static u64 change_beside_rights(u64 was, u64 is)
{
	if (is & _PAGE_RW)
		was |= is & _PAGE_DIRTY;
	return (was ^ is) & ~(_PAGE_RW | _PAGE_GLOBAL);
}

/* No vCPU walks @old any more, so what it holds is final: nothing came to it after the copy. */
static void assert_same_but_rights(const struct page *old, const struct page *new)
{
	const pte_t *was = page_to_virt(old), *is = page_to_virt(new);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		if (change_beside_rights(was[i].v, READ_ONCE(is[i].v)))
			panic("entry %u of a table that was swung out is %#lx, in its place is "
			      "%#lx",
			      i, was[i].v, is[i].v);
}
#else
static void assert_same_but_rights(const struct page *old __unused, const struct page *new __unused)
{
}
#endif

/* The copy takes the place of the table that @pmd links; the references go with the entries. */
static void swing(const struct push_down *p, pmd_t *pmd, struct page *new)
{
	struct page *old = pfn_to_page(pmd_pfn(*pmd));

	plain_table_adopt(p->mm, new);
	if (old->pg_flags & PG_FORKED)
		new->pg_flags |= PG_FORKED;
	spin_lock(&p->mm->page_table_lock);
	pmd_link(p->mm, pmd, p->start, new);
	spin_unlock(&p->mm->page_table_lock);
	flush_tlb_tables(p->mm, p->start, p->start + PMD_SIZE);
	table_make_plain(old);
	assert_same_but_rights(old, new);
	ASSERT(!spin_is_locked(&old->ptl));
	free_page(old); /* not cleared, so nothing for the reserve of tables */
}

/* The table that @pmd links, without the right to write, is changed by way of @new. */
static void swing_in_changed(struct push_down *p, const struct vma *vma, pmd_t *pmd,
			     struct page *new)
{
	ASSERT(!pmd_write(*pmd));
	copy_page(page_to_virt(new), pte_offset(*pmd, 0));
	p->table = page_to_virt(new);
	for_each_part(p, vma, push_down_plainly, NULL);
	swing(p, pmd, new);
	count(CNT_TABLES_PUSHED_DOWN);
	count(CNT_TABLES_SWUNG);
}

/*
 * A task that is alone in its address space holds no lock of the table, and nobody waits for one;
 * who counts a footprint has page_table_lock. False: the table is as it was.
 */
static bool push_down_by_swing(struct push_down *p, const struct vma *vma, pmd_t *pmd)
{
	struct page *new;

	if (!pv_owns_tables || atomic_read(&p->mm->users) != 1)
		return false;
	ASSERT(p->mm == current->mm);
	table_is(p, *pmd);
	if (!is_worth_a_swing(p, vma))
		return false;
	new = plain_table_alloc_uncleared(p->mm);
	if (!new)
		return false;
	swing_in_changed(p, vma, pmd, new);
	return true;
}

bool pmd_push_down_early(struct mm *mm, pmd_t *pmd, unsigned long addr)
{
	struct push_down p = {
		.mm = mm, .start = pmd_start(addr), .addr = addr, .private = LOSE_ALL};
	struct page *new = plain_table_alloc_uncleared(mm);
	struct spinlock *ptl;
	pte_t *first;

	ASSERT(pv_owns_tables);
	mmap_assert_write_locked(mm);
	if (!new)
		return false;
	first = pte_offset_map_lock(pmd, p.start, &ptl);
	pmd_wrprotect(mm, pmd, p.start); /* other threads may be writing below it */
	pte_unmap_unlock(first, ptl);
	swing_in_changed(&p, vma_find(&mm->vmas, p.start), pmd, new);
	return true;
}

/* --- */

static void push_down_in_place(struct push_down *p, const struct vma *vma, pmd_t *pmd)
{
	struct spinlock *ptl;
	pte_t *first = pte_offset_map_lock(pmd, p->start, &ptl);

	if (!pmd_write(*pmd)) {
		count(CNT_TABLES_PUSHED_DOWN);
		table_is(p, *pmd);
		if (pv_owns_tables)
			for_each_part(p, vma, push_down_queued, NULL);
		else
			for_each_part(p, vma, push_down_plainly, NULL);
		pmd_mkwrite(p->mm, pmd, p->start);
	}
	pte_unmap_unlock(first, ptl);
}

void pmd_push_down(const struct vma *vma, pmd_t *pmd, unsigned long addr)
{
	struct push_down p = {.mm = vma->mm, .start = pmd_start(addr), .addr = addr};

	if (!covers_table(vma, addr)) {
		mmap_assert_locked(p.mm); /* it looks at all VMAs below the table */
		vma = vma_find(&p.mm->vmas, p.start);
	}
	if (!push_down_by_swing(&p, vma, pmd))
		push_down_in_place(&p, vma, pmd);
}
