/*
 * Xen PV: page-table pages. Each is read-only in the direct map and pinned, from before anybody can
 * reach it until nobody can any more; so no vCPU ever finds it read-only and not yet pinned.
 *
 * Making a table costs Xen ten thousand instructions, unmaking it as much, and a frame that changes
 * its type costs a TLB flush. So an empty table is kept, pinned, in a reserve for its level, and
 * linking it is cheap. A dying address space with well-filled tables is unpinned as a whole and
 * then taken apart by plain loads and stores: see exit_mm().
 *
 * Lock: reserve_lock.
 */
#include "kernel/panic.h"
#include "kernel/preempt.h"
#include "kernel/spinlock.h"
#include "kernel/string.h"
#include "mm/addr.h"
#include "mm/mm.h"
#include "mm/page.h"
#include "mm/pgtable_types.h"
#include "pv/xen/xen.h"

#define L4_USER_SLOTS (PTRS_PER_TABLE / 2)
#define XEN_L4_FIRST 256 /* slots 256-271 of each L4 are Xen's own */
#define XEN_L4_END 272

/*
 * Where the ways cross, in present entries of a table. The costs are Xen 4.17's, in instructions.
 * Dropping: a clear is 462 an entry; unpinning 162 an entry and, with making a table again, 21,000.
 * Filling: 497 an entry in a table of the reserve; 155 an entry in one that is pinned full, 10,000.
 */
#define DROP_MIN (21000 / (462 - 162))
#define FILL_MIN (10000 / (497 - 155))

static DEFINE_SPINLOCK(reserve_lock, LOCK_TABLE_RESERVE);
static struct reserve {
	struct page *first; /* by next_free */
	unsigned nr;
} reserves[5] __guarded_by(reserve_lock); /* by level */

/* For each level; all of them together hold back two hundredths of memory at most. */
static unsigned reserve_max(void)
{
	return min(max(max_pfn / 1024, 4UL), 64UL);
}

#ifdef CONFIG_DEBUG
static void assert_empty(const struct page *page)
{
	const u64 *e = page_to_virt(page);

	for (unsigned i = 0; i < (page->level == 4 ? L4_USER_SLOTS : PTRS_PER_TABLE); i++)
		if (e[i] & ~_PAGE_AD)
			panic("xen: table pfn %#lx of level %u in reserve has entry %u = %#lx",
			      page_to_pfn(page).v, page->level, i, e[i]);
}
#else
static void assert_empty(const struct page *page __unused) {}
#endif

/* The user L4 that belongs to the L4 @page, or NULL. */
static struct page *user_l4(const struct page *page)
{
	return page->level == 4 && page->backend ? pfn_to_page(pfn(page->backend)) : NULL;
}

static void set_kind(struct page *page, enum page_kind kind)
{
	struct page *user = user_l4(page);

	page_set_kind(page, kind);
	if (user)
		page_set_kind(user, kind);
}

static u64 xen_reuse_table(unsigned level)
{
	struct reserve *r = &reserves[level];
	struct page *page;

	spin_lock(&reserve_lock);
	page = r->first;
	if (page) {
		r->first = page->next_free;
		r->nr--;
	}
	spin_unlock(&reserve_lock);
	if (!page)
		return 0;
	set_kind(page, PAGE_TABLE);
	assert_empty(page);
	return page_to_pfn(page).v;
}

/* False: the reserve is full. */
static bool keep_in_reserve(struct page *page)
{
	struct reserve *r = &reserves[page->level];
	bool keep;

	assert_empty(page);
	spin_lock(&reserve_lock);
	keep = r->nr < reserve_max();
	if (keep) {
		set_kind(page, PAGE_TABLE_RESERVE);
		page->next_free = r->first;
		r->first = page;
		r->nr++;
	}
	spin_unlock(&reserve_lock);
	return keep;
}

static void check(const char *what, u64 p, long err)
{
	if (err)
		panic("xen: %s of pfn %#lx (level %u) refused: %ld", what, p,
		      pfn_to_page(pfn(p))->level, err);
}

static void make_table(u64 p, unsigned level)
{
	struct mmuext_op pin = {.cmd = MMUEXT_PIN_L1_TABLE + level - 1, .arg1.mfn = xen_p2m[p]};
	struct multicall_entry calls[] = {
		xen_call_update_va_mapping((unsigned long)__va(p << PAGE_SHIFT),
					   xen_p2m[p] << PAGE_SHIFT | XEN_KERNEL_RO,
					   UVMF_INVLPG | UVMF_LOCAL),
		xen_call_mmuext_op(&pin, 1),
	};

	xen_multicall(calls, ARRAY_SIZE(calls));
	check("making read-only", p, calls[0].result);
	check("pinning", p, calls[1].result);
}

static bool xen_alloc_table(struct mm *mm __unused, u64 p, unsigned level)
{
	struct page *user = NULL;

	if (level == 4) {
		user = alloc_page_zeroed(PAGE_TABLE);
		if (!user)
			return false;
		user->level = 4;
		user->backend = 0;
		memset((u64 *)__va(p << PAGE_SHIFT) + XEN_L4_FIRST, 0,
		       (XEN_L4_END - XEN_L4_FIRST) * 8);
		pfn_to_page(pfn(p))->backend = page_to_pfn(user).v;
		make_table(page_to_pfn(user).v, 4);
	}
	make_table(p, level);
	return true;
}

/* --- unmaking --- */

#define UNMAKE_MAX 32

struct unmaking {
	unsigned n;
	u64 pfn[UNMAKE_MAX];
};

/*
 * Unpin them, in order, and make them writable. Stale read-only translations of the direct map may
 * stay in TLBs: a store through one is a spurious fault (kernel/page_fault.c).
 */
static void unmake_tables(struct unmaking *u)
{
	struct mmuext_op unpin[UNMAKE_MAX];
	struct mmu_update writable[UNMAKE_MAX];
	unsigned done = 0;
	long err;

	for (unsigned i = 0; i < u->n; i++) {
		u64 p = u->pfn[i];

		unpin[i] = (struct mmuext_op){.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = xen_p2m[p]};
		writable[i] = (struct mmu_update){
			.ptr = xen_direct_map_entry(p),
			.val = xen_p2m[p] << PAGE_SHIFT | XEN_KERNEL_RW,
		};
	}
	preempt_disable(); /* as in xen_set_tables() */
	err = xen_mmuext_op(unpin, u->n);
	check("unpinning", u->pfn[0], err);
	err = xen_mmu_update(writable, u->n, &done);
	preempt_enable();
	check("making writable", u->pfn[min(done, u->n - 1)], err);
	for (unsigned i = 0; i < u->n; i++)
		pfn_to_page(pfn(u->pfn[i]))->pg_flags |= PG_PLAIN_TABLE;
	u->n = 0;
}

static void unmake(struct unmaking *u, u64 p)
{
	if (u->n == UNMAKE_MAX)
		unmake_tables(u);
	u->pfn[u->n++] = p;
}

static void xen_unmake_table(u64 p)
{
	struct unmaking u = {.n = 0};

	unmake(&u, p);
	unmake_tables(&u);
}

static bool xen_release_table(u64 p, unsigned level __unused)
{
	struct page *page = pfn_to_page(pfn(p)), *user = user_l4(page);
	struct unmaking u = {.n = 0};

	if (!(page->pg_flags & PG_PLAIN_TABLE)) {
		if (page->kind == PAGE_TABLE && keep_in_reserve(page))
			return true;
		unmake(&u, p);
		if (user)
			unmake(&u, page_to_pfn(user).v);
		unmake_tables(&u);
	}
	if (user)
		free_page(user);
	return false;
}

/* --- a dying address space --- */

struct dying {
	unsigned tables, entries;
	struct unmaking u;
};

/* Call @fn for table @p and for all below it, in the user's half, parents first. */
static void visit_tables(u64 p, unsigned level, void (*fn)(struct dying *d, u64 p, unsigned level),
			 struct dying *d)
{
	const u64 *e = __va(p << PAGE_SHIFT);

	fn(d, p, level);
	for (unsigned i = 0; level > 1 && i < (level == 4 ? L4_USER_SLOTS : PTRS_PER_TABLE); i++)
		if (e[i] & _PAGE_PRESENT)
			visit_tables(xen_mfn_to_pfn((e[i] & PTE_MFN_MASK) >> PAGE_SHIFT), level - 1,
				     fn, d);
}

static void count_entries(struct dying *d, u64 p, unsigned level)
{
	const u64 *e = __va(p << PAGE_SHIFT);

	d->tables++;
	for (unsigned i = 0; level == 1 && i < PTRS_PER_TABLE; i++)
		d->entries += e[i] & _PAGE_PRESENT;
}

static void unmake_visited(struct dying *d, u64 p, unsigned level __unused)
{
	struct page *user = user_l4(pfn_to_page(pfn(p)));

	if (user)
		unmake(&d->u, page_to_pfn(user).v);
	unmake(&d->u, p);
}

/*
 * Which way is shorter: clear each entry by mmu_update and keep the tables, or drop the tables from
 * Xen's books and make new ones later.
 */
static bool shorter_without_tables(const struct dying *d)
{
	return d->entries >= (u64)DROP_MIN * d->tables;
}

static void xen_exit_mm(struct mm *mm)
{
	u64 l4 = __pa(mm->pgd) >> PAGE_SHIFT;
	struct dying d = {.tables = 0};

	visit_tables(l4, 4, count_entries, &d);
	if (!shorter_without_tables(&d))
		return;
	visit_tables(l4, 4, unmake_visited, &d);
	unmake_tables(&d.u);
}

void xen_tables_setup(void)
{
	pv_ops.mmu.reuse_table = xen_reuse_table;
	pv_ops.mmu.alloc_table = xen_alloc_table;
	pv_ops.mmu.release_table = xen_release_table;
	pv_table_costs = (struct pv_table_costs){.fill_min = FILL_MIN, .drop_min = DROP_MIN};
	pv_ops.mmu.unmake_table = xen_unmake_table;
	pv_ops.mmu.exit_mm = xen_exit_mm;
}
