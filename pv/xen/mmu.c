/*
 * Xen PV: page tables. Xen owns them: the guest reads them through read-only mappings and changes
 * them by hypercalls; an entry holds a machine frame. Sources: Xen's public/xen.h (mmu_update,
 * mmuext_op).
 *
 * Every page table is read-only in the direct map and pinned from its allocation to its release. A
 * refused update is a bug of the kernel: it is reported with table, index, values and caller.
 */
#include "kernel/backtrace.h"
#include "kernel/panic.h"
#include "kernel/preempt.h"
#include "kernel/string.h"
#include "mm/addr.h"
#include "mm/early.h"
#include "mm/lazy_mmu.h"
#include "mm/page.h"
#include "mm/mm.h"
#include "pv/batch.h"
#include "pv/native.h"
#include "pv/xen/xen.h"

#define P2M xen_p2m
#define M2P ((const u64 *)HYPERVISOR_VIRT_START)
#define XEN_L4_FIRST 256 /* slots 256-271 of each L4 are Xen's own */
#define XEN_L4_END 272
#define KERNEL_RO (_PAGE_KERNEL_RO & ~_PAGE_GLOBAL)
#define KERNEL_RW (_PAGE_KERNEL & ~_PAGE_GLOBAL)

const u64 *xen_p2m; /* by pfn */

__callee_save static u64 xen_pfn_to_mfn(u64 p)
{
	return P2M[p];
}

__callee_save static u64 xen_mfn_to_pfn(u64 m)
{
	return M2P[m];
}

static u64 maddr_of(const void *va)
{
	return P2M[__pa(va) >> PAGE_SHIFT] << PAGE_SHIFT | ((vaddr_t)va & ~PAGE_MASK);
}

static void __noreturn refused(const struct mmu_update *u, long err, unsigned index, unsigned n,
			       unsigned long caller)
{
	char who[80];
	u64 maddr = u->ptr & ~7UL, p = M2P[maddr >> PAGE_SHIFT];
	u64 now = *(const u64 *)__va(p << PAGE_SHIFT | (maddr & ~PAGE_MASK));

	symbol_name(caller, who, sizeof(who));
	panic("xen: mmu_update %u of %u refused: error %ld, table pfn %#lx mfn %#lx entry %lu, is "
	      "%#lx, "
	      "new %#lx, command %lu, by %s",
	      index, n, err, p, maddr >> PAGE_SHIFT, (maddr & ~PAGE_MASK) / 8, now, u->val,
	      u->ptr & 3, who);
}

/* Apply @n updates, all of them, or say which was refused. */
static void apply(const struct mmu_update *u, unsigned n, const unsigned long *caller)
{
	unsigned done = 0;
	long err = xen_mmu_update(u, n, &done);

	if (unlikely(err || done != n))
		refused(&u[min(done, n - 1)], err, done, n, caller[min(done, n - 1)]);
}

static void xen_issue(struct batch *b)
{
	static_assert(sizeof(struct pt_update) == sizeof(struct mmu_update), "one format");
	static_assert(PT_PRESERVE_AD == MMU_PT_UPDATE_PRESERVE_AD, "one set of commands");

	apply((const struct mmu_update *)b->update, b->n, b->caller);
}

static __noinline void update_now(const void *entry, u64 val, unsigned cmd)
{
	struct mmu_update u = {.ptr = maddr_of(entry) | cmd, .val = val};

	apply(&u, 1, (const unsigned long[]){(unsigned long)__builtin_return_address(0)});
}

static void update(pte_t *ptep, u64 val, enum pt_command cmd)
{
	if (is_lazy_mmu_mode_active())
		batch_queue(ptep, val, cmd);
	else
		update_now(ptep, val, cmd);
}

static void xen_set_pte(pte_t *ptep, pte_t pte)
{
	update(ptep, pte.v & ~_PAGE_GLOBAL, PT_NORMAL);
}

static void xen_ptep_modify(pte_t *ptep, pte_t old __unused, pte_t new)
{
	update(ptep, new.v & ~_PAGE_GLOBAL, PT_PRESERVE_AD);
}

/* See deferred.c: the A and D bits that the CPU still sets are harvested after the leave. */
static pte_t xen_ptep_get_and_clear(pte_t *ptep)
{
	pte_t old = *(volatile pte_t *)ptep;

	update(ptep, 0, PT_PRESERVE_AD);
	if (!is_lazy_mmu_mode_active())
		old.v |= *(volatile u64 *)ptep & _PAGE_AD;
	return old;
}

/*
 * Xen may put off the last part of unlinking or unpinning a table, until the same vCPU's next call
 * (xen/arch/x86/mm.c, put_old_guest_table). Until then the table still counts as one; and the task
 * may have gone to another vCPU. So that call is made at once: a mmuext_op of nothing. Preemption
 * is off since the call that it completes.
 */
static void finish_deferred(void)
{
	long err = xen_mmuext_op(NULL, 0);

	if (err)
		panic("xen: an empty mmuext_op is refused: %ld", err);
}

static void apply_and_drop(const struct mmu_update *u, unsigned n, unsigned long caller)
{
	preempt_disable();
	apply(u, n, (const unsigned long[]){caller, caller});
	finish_deferred();
	preempt_enable();
}

static void xen_set_pmd(pmd_t *pmdp, pmd_t pmd)
{
	update_now(pmdp, pmd.v, MMU_NORMAL_PT_UPDATE);
}

static void xen_set_pud(pud_t *pudp, pud_t pud)
{
	apply_and_drop(&(struct mmu_update){.ptr = maddr_of(pudp), .val = pud.v}, 1,
		       (unsigned long)__builtin_return_address(0));
}

/* --- tables --- */

static void pin(u64 p, unsigned cmd)
{
	struct mmuext_op op = {.cmd = cmd, .arg1.mfn = P2M[p]};
	long err = xen_mmuext_op(&op, 1);

	if (err)
		panic("xen: mmuext_op %u of pfn %#lx refused: %ld", cmd, p, err);
}

/* The rights of the direct map's entry for a frame. */
static void protect(u64 p, u64 prot, unsigned long flush)
{
	long err = xen_update_va_mapping((unsigned long)__va(p << PAGE_SHIFT),
					 P2M[p] << PAGE_SHIFT | prot, flush);

	if (err)
		panic("xen: the direct map of pfn %#lx (level %u) cannot change: %ld", p,
		      pfn_to_page(pfn(p))->level, err);
}

/* User mode has an L4 table of its own, without the kernel's half. */
static u64 user_l4(const void *l4_entry)
{
	return virt_to_page(l4_entry)->backend;
}

static void make_table(u64 p, unsigned level)
{
	protect(p, KERNEL_RO, UVMF_INVLPG | UVMF_LOCAL);
	pin(p, MMUEXT_PIN_L1_TABLE + level - 1);
}

static void unmake_table(u64 p)
{
	preempt_disable();
	pin(p, MMUEXT_UNPIN_TABLE);
	finish_deferred();
	preempt_enable();
	protect(p, KERNEL_RW, UVMF_INVLPG | UVMF_ALL);
}

static bool xen_alloc_table(struct mm *mm __unused, u64 p, unsigned level)
{
	struct page *user = NULL;

	if (level == 4) {
		user = alloc_page_zeroed(PAGE_TABLE);
		if (!user)
			return false;
		user->level = 4;
		memset((u64 *)__va(p << PAGE_SHIFT) + XEN_L4_FIRST, 0,
		       (XEN_L4_END - XEN_L4_FIRST) * 8);
		pfn_to_page(pfn(p))->backend = page_to_pfn(user).v;
		make_table(page_to_pfn(user).v, 4);
	}
	make_table(p, level);
	return true;
}

static void xen_release_table(u64 p, unsigned level)
{
	unmake_table(p);
	if (level == 4) {
		u64 user = pfn_to_page(pfn(p))->backend;

		unmake_table(user);
		free_page(pfn_to_page(pfn(user)));
	}
}

/* Both L4 tables change in one call. */
static void xen_set_pgd(pgd_t *pgdp, pgd_t pgd)
{
	unsigned slot = ((vaddr_t)pgdp & ~PAGE_MASK) / sizeof(*pgdp), n = 1;
	struct mmu_update u[2] = {{.ptr = maddr_of(pgdp), .val = pgd.v}};
	u64 user = user_l4(pgdp);

	if (slot < XEN_L4_FIRST && user) {
		u[1].ptr = P2M[user] << PAGE_SHIFT | slot * sizeof(*pgdp);
		u[1].val = pgd.v;
		n = 2;
	}
	apply_and_drop(u, n, (unsigned long)__builtin_return_address(0));
}

static void xen_load_pgd(struct mm *mm __unused, u64 pgd_pfn, unsigned asid __unused,
			 bool flush __unused)
{
	u64 user = pfn_to_page(pfn(pgd_pfn))->backend;
	struct mmuext_op op[2] = {
		{.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = P2M[pgd_pfn]},
		{.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = user ? P2M[user] : 0},
	};
	long err = xen_mmuext_op(op, 2);

	if (err)
		panic("xen: the tables of pfn %#lx cannot be loaded: %ld", pgd_pfn, err);
}

static void xen_flush_tlb_local(void)
{
	xen_mmuext_op(&(struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL}, 1);
}

static void xen_flush_tlb_one(unsigned long addr)
{
	xen_mmuext_op(&(struct mmuext_op){.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = addr}, 1);
}

void xen_mmu_setup(void)
{
	pv_ops.mmu.pfn_to_mfn = xen_pfn_to_mfn;
	pv_ops.mmu.mfn_to_pfn = xen_mfn_to_pfn;
	pv_ops.mmu.set_pte = xen_set_pte;
	pv_ops.mmu.ptep_get_and_clear = xen_ptep_get_and_clear;
	pv_ops.mmu.ptep_modify = xen_ptep_modify;
	pv_ops.mmu.set_pmd = xen_set_pmd;
	pv_ops.mmu.set_pud = xen_set_pud;
	pv_ops.mmu.set_pgd = xen_set_pgd;
	pv_ops.mmu.alloc_table = xen_alloc_table;
	pv_ops.mmu.release_table = xen_release_table;
	pv_ops.mmu.issue = xen_issue;
	pv_ops.mmu.flush_tlb_local = xen_flush_tlb_local;
	pv_ops.mmu.flush_tlb_one = xen_flush_tlb_one;
	pv_ops.mmu.load_pgd = xen_load_pgd;
}

/* --- the direct map --- */

extern char __text_start[], __text_end[], __rodata_end[], __image_end[];

/* A page of the image whose address is a window on frames that nothing else maps writable. */
static u64 window[PTRS_PER_TABLE] __aligned(PAGE_SIZE);

static u64 initial_pfn(unsigned long va)
{
	return (va - KERNEL_BASE) >> PAGE_SHIFT;
}

u64 xen_first_free_pfn(void)
{
	/* Behind the initial tables comes the initial stack, one page. */
	return initial_pfn(xen_start_info->pt_base) + xen_start_info->nr_pt_frames + 1;
}

/* Where memory can be read: in the initial mapping, and once that goes, in the direct map. */
static unsigned long readable_base = KERNEL_BASE;

static const u64 *initial_table(u64 mfn)
{
	return (const u64 *)(readable_base + (M2P[mfn] << PAGE_SHIFT));
}

/* True if Xen's builder mapped @va. */
static bool initially_mapped(unsigned long va)
{
	const u64 *table = (const u64 *)(readable_base + xen_start_info->pt_base - KERNEL_BASE);

	for (int shift = PGD_SHIFT; shift > PAGE_SHIFT; shift -= 9) {
		u64 entry = table[va >> shift & 511];

		if (!(entry & _PAGE_PRESENT))
			return false;
		table = initial_table((entry & PTE_MFN_MASK) >> PAGE_SHIFT);
	}
	return table[va >> PAGE_SHIFT & 511] & _PAGE_PRESENT;
}

static void map_initial(unsigned long va, u64 entry)
{
	long err = xen_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_LOCAL);

	if (err)
		panic("xen: initial mapping of %#lx cannot become %#lx: %ld", va, entry, err);
}

static struct {
	u64 first, l1, l2, end; /* frames of the new tables: L1s, then L2s, then the L3 */
} tables;

static u64 direct_entry(u64 p)
{
	u64 pt = initial_pfn(xen_start_info->pt_base);
	bool table = (p >= pt && p < pt + xen_start_info->nr_pt_frames) ||
		     (p >= tables.first && p < tables.end);
	bool image = p >= initial_pfn((unsigned long)__text_start) &&
		     p < initial_pfn((unsigned long)__rodata_end);

	return P2M[p] << PAGE_SHIFT | (table || image ? KERNEL_RO : KERNEL_RW);
}

/* Fill the table in frame @p with @n entries that @entry gives, through the window. */
static void fill_table(u64 p, u64 base, u64 limit, u64 (*entry)(u64 index))
{
	map_initial((unsigned long)window, P2M[p] << PAGE_SHIFT | KERNEL_RW);
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		WRITE_ONCE(window[i], base + i < limit ? entry(base + i) : 0);
	map_initial((unsigned long)window, 0);
}

static u64 table_entry(u64 p)
{
	return P2M[p] << PAGE_SHIFT | _KERNPG_TABLE;
}

/*
 * Map all of memory at DIRECT_MAP. The tables come from memory that the initial mapping does not
 * reach, so nothing maps them writable, and are linked from below. Then the initial mapping keeps
 * the image alone: any other frame may become a table, and must not be writable there.
 */
void xen_direct_map_init(void)
{
	u64 nr = xen_start_info->nr_pages, used = xen_first_free_pfn(), p;
	struct mmu_update link;
	unsigned done;

	for (p = used; initially_mapped(KERNEL_BASE + (p << PAGE_SHIFT)); p++)
		;
	tables.first = tables.l1 = p;
	tables.l2 = tables.l1 + (nr + 511) / 512;
	tables.end = tables.l2 + (tables.l2 - tables.l1 + 511) / 512 + 1;
	if (tables.end > nr)
		panic("xen: %lu pages are too few", nr);
	for (u64 i = 0; i < tables.l2 - tables.l1; i++)
		fill_table(tables.l1 + i, i * 512, nr, direct_entry);
	for (u64 i = 0; i < tables.end - 1 - tables.l2; i++)
		fill_table(tables.l2 + i, tables.l1 + i * 512, tables.l2, table_entry);
	fill_table(tables.end - 1, tables.l2, tables.end - 1, table_entry);

	link.ptr = (P2M[initial_pfn(xen_start_info->pt_base)] << PAGE_SHIFT) +
		   (DIRECT_MAP >> PGD_SHIFT & 511) * 8;
	link.val = table_entry(tables.end - 1);
	if (xen_mmu_update(&link, 1, &done))
		panic("xen: the direct map is refused");
	early_reserve(tables.first << PAGE_SHIFT, tables.end << PAGE_SHIFT);
	init_mm.pgd = __va(initial_pfn(xen_start_info->pt_base) << PAGE_SHIFT);
}

void xen_protect_image(void)
{
	unsigned long va = KERNEL_BASE;

	xen_p2m = __va((vaddr_t)xen_p2m - KERNEL_BASE);
	xen_start_info = __va((vaddr_t)xen_start_info - KERNEL_BASE);
	readable_base = DIRECT_MAP;

	for (; initially_mapped(va) || va < (unsigned long)__image_end; va += PAGE_SIZE) {
		u64 frame = P2M[initial_pfn(va)] << PAGE_SHIFT;

		if (va == (unsigned long)window || va == (unsigned long)xen_shared_info)
			continue;
		if (va < (unsigned long)__text_start || va >= (unsigned long)__image_end)
			map_initial(va, 0);
		else if (va < (unsigned long)__text_end)
			map_initial(va, frame | (KERNEL_RO & ~_PAGE_NX));
		else if (va < (unsigned long)__rodata_end)
			map_initial(va, frame | KERNEL_RO);
		else
			map_initial(va, frame | KERNEL_RW);
	}
}
