/*
 * Zap: clear the entries of a range, invalidate, free the pages. And the tables, when nothing can
 * use them any more.
 *
 * Locks: each PTE page's own for its entries; page_table_lock for unlinking tables.
 */
#include "mm/range/zap.h"

#include "mm/lazy/lazy_mmu.h"
#include "mm/range/run.h"
#include "mm/range/whole_table.h"
#include "mm/table/tables.h"
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"

/* Tables in one go: a bound on the time that page_table_lock is held. In debug builds suites reach
 * it. */
#ifdef CONFIG_DEBUG
#define REMOVED_MAX 4
#else
#define REMOVED_MAX 512
#endif

struct zap {
	struct mmu_gather *tlb;
	struct gap gap;
};

/*
 * Whether the table that @pmd links, and of which [addr, end) is dropped, goes with what it maps:
 * free_pgtables() unlinks it then. Nobody else can use it; what other VMAs have in it is dropped
 * before, by its entries, or goes with it.
 */
static bool goes_whole(const struct zap *z, pmd_t pmd, unsigned long addr, unsigned long end)
{
	struct page *table = pfn_to_page(pmd_pfn(pmd));

	if (!whole_tables_enabled || !is_within(addr, PMD_SIZE, z->gap.floor, z->gap.ceiling))
		return false;
	if (!(table->pg_flags & PG_DROP_WHOLE) &&
	    (end - addr) >> PAGE_SHIFT >= pv_table_costs.drop_min &&
	    table_holds(pmd, pv_table_costs.drop_min)) {
		table->pg_flags |= PG_DROP_WHOLE;
		z->tlb->whole_tables = true;
	}
	return table->pg_flags & PG_DROP_WHOLE;
}

/* How many entries from @ptep on, which is in use, are, up to @stop; at most RUN_MAX. */
static unsigned used_run(const pte_t *ptep, const pte_t *stop)
{
	unsigned n = 1, max = min(stop - ptep, (long)RUN_MAX);

	while (n < max && !pte_none(ptep_get(ptep + n)))
		n++;
	return n;
}

/* Clear the entries of [ptep, stop), the last of which ends at @end, and gather what they held. */
static void clear_entries(struct mmu_gather *tlb, pte_t *ptep, const pte_t *stop, unsigned long end)
	__must_hold(ptl_role)
{
	pte_t old[RUN_MAX];

	while (ptep != stop) {
		unsigned long addr = end - (stop - ptep) * PAGE_SIZE;
		unsigned n;

		if (pte_none(ptep_get(ptep))) {
			ptep++;
			continue;
		}
		n = used_run(ptep, stop);
		get_and_clear_ptes(tlb->mm, addr, ptep, old, n);
		tlb_remove_ptes(tlb, addr, old, n);
		ptep += n;
	}
}

/*
 * A sample of the rule, in the long form of mm/range/pte_section.h: the harvest comes between the
 * leave and the unlock.
 */
static int zap_pte_range(struct vma *vma __unused, pmd_t *pmd, unsigned long addr,
			 unsigned long end, void *arg)
{
	const struct zap *z = arg;
	struct mmu_gather *tlb = z->tlb;
	lazy_mmu_state_t state;
	pte_t *first, *table;
	struct spinlock *ptl;

	if (goes_whole(z, *pmd, addr, end))
		return 0;
	first = pte_offset_map_lock(pmd, addr, &ptl);
	table = first - pte_index(addr);
	state = arch_enter_lazy_mmu_mode();
	clear_entries(tlb, first, first + ((end - addr) >> PAGE_SHIFT), end);
	tlb_flush_mmu(tlb);
	arch_leave_lazy_mmu_mode(state);
	tlb_harvest(tlb, table);
	pte_unmap_unlock(first, ptl);
	tlb_free_pages(tlb);
	return 0;
}

void zap_page_range(struct mmu_gather *tlb, struct vma *vma, unsigned long start, unsigned long end,
		    struct gap gap)
{
	struct zap z = {.tlb = tlb, .gap = gap};

	mmap_assert_locked(vma->mm);
	walk_pte_ranges(vma, start, end, zap_pte_range, &z);
}

/* One table goes if the block of addresses that it covers lies wholly in the free space. */
struct free_space {
	struct mmu_gather *tlb;
	struct gap gap;
	bool only_whole; /* what goes with its contents; empty tables stay for what comes next */
	struct table_changes *changes;
	unsigned removed; /* since page_table_lock was taken */
};

/*
 * Between two L2 tables: others may want the lock, and the CPU. Nobody makes tables meanwhile in
 * the free space, because no VMA lies in it. Not analysed: the caller's lock is given back, and
 * taken again.
 */
static void let_others_lock(struct free_space *f) __no_thread_safety
{
	if (f->removed < REMOVED_MAX)
		return;
	table_changes_commit(f->changes);
	spin_unlock(&f->tlb->mm->page_table_lock);
	spin_lock(&f->tlb->mm->page_table_lock);
	f->removed = 0;
}

static bool may_go(const struct free_space *f, unsigned long addr, unsigned long size,
		   const struct page *table)
{
	if (f->only_whole && !(table->pg_flags & PG_DROP_WHOLE))
		return false;
	return is_within(addr, size, f->gap.floor, f->gap.ceiling);
}

/* Lower levels first; the three differ in types and names only. */
#define DEFINE_FREE_RANGE(lvl, LVL, free_below)                                                    \
	static void free_##lvl##_range(struct free_space *f, lvl##_t *entry, unsigned long addr,   \
				       unsigned long end)                                          \
	{                                                                                          \
		for (unsigned long next; addr != end; entry++, addr = next) {                      \
			lvl##_t e = lvl##p_get(entry);                                             \
			struct page *table;                                                        \
                                                                                                   \
			next = lvl##_addr_end(addr, end);                                          \
			if (lvl##_none(e))                                                         \
				continue;                                                          \
			free_below(f, e, addr, next);                                              \
			table = pfn_to_page(lvl##_pfn(e));                                         \
			if (!may_go(f, addr, LVL##_SIZE, table))                                   \
				continue;                                                          \
			table_change(f->changes, entry, 0);                                        \
			tlb_remove_table(f->tlb, addr, table);                                     \
			f->removed++;                                                              \
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
	let_others_lock(f);
}
DEFINE_FREE_RANGE(pud, PUD, free_below_pud)

static void free_below_pgd(struct free_space *f, pgd_t e, unsigned long addr, unsigned long end)
{
	free_pud_range(f, pud_offset(e, addr), addr, end);
}
DEFINE_FREE_RANGE(pgd, PGD, free_below_pgd)

void free_pgtables(struct mmu_gather *tlb, struct table_changes *tc, unsigned long start,
		   unsigned long end, struct gap gap)
{
	struct free_space f = {.tlb = tlb, .gap = gap, .changes = tc};

	lockdep_assert_held(&tlb->mm->page_table_lock);
	mmap_assert_locked(tlb->mm);
	free_pgd_range(&f, pgd_offset(tlb->mm, start), start, end);
}

void discard_page_range(struct mmu_gather *tlb, struct vma *vma, unsigned long start,
			unsigned long end, struct gap gap)
{
	struct table_changes unlinked;
	struct free_space f = {.tlb = tlb, .gap = gap, .only_whole = true, .changes = &unlinked};

	mmap_assert_write_locked(vma->mm);
	zap_page_range(tlb, vma, start, end, gap);
	if (!tlb->whole_tables)
		return;
	table_changes_init(&unlinked);
	spin_lock(&tlb->mm->page_table_lock);
	free_pgd_range(&f, pgd_offset(tlb->mm, start), start, end);
	table_changes_commit(&unlinked);
	spin_unlock(&tlb->mm->page_table_lock);
}
