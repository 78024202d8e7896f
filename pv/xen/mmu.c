/*
 * Xen PV: changes of page tables. Xen owns them: the guest reads them through read-only mappings
 * and changes them by hypercalls; an entry holds a machine frame. Sources: Xen's public/xen.h
 * (mmu_update, mmuext_op).
 *
 * A section is paid by one multicall: its L1 updates, then the TLB flush that it owes. A refused
 * update is a bug of the kernel: it is reported with table, index, values and caller.
 */
#include "kernel/arch/preempt.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/panic.h"
#include "mm/frame/page.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "mm/types/addr.h"
#include "pv/xen/xen.h"

#define SET_TABLES_MAX (2 * TABLE_CHANGES_MAX) /* an entry of L4 is two */

const u64 *xen_p2m; /* by pfn */

static u64 maddr_of(const void *va)
{
	return xen_p2m[__pa(va) >> PAGE_SHIFT] << PAGE_SHIFT | ((vaddr_t)va & ~PAGE_MASK);
}

static void apply_updates(const struct mmu_update *u, unsigned n, unsigned long caller)
{
	unsigned done = 0;
	long err = xen_mmu_update(u, n, &done);

	batch_check_applied_by((const struct pt_update *)u, n, err, done, caller);
}

/*
 * One entry, and the flush of just its page, on this vCPU alone: a COW fault. update_va_mapping
 * does both for less than a multicall; it reaches the entries of the tables that are loaded here.
 */
static bool is_update_va_mapping(const struct batch *b, const struct xen_flush *flush)
{
	const struct tlb_flush *f = &b->flush;
	const pmd_t *pmd;

	if (b->n != 1 || !xen_flush_is_here(flush))
		return false;
	pmd = pmd_find(f->mm, f->start);
	return pmd &&
	       b->update[0].ptr == ((pmd->v & PTE_MFN_MASK) | pte_index(f->start) * sizeof(pte_t));
}

static void update_va_mapping(struct batch *b, struct xen_flush *flush)
{
	long err =
		xen_update_va_mapping(b->flush.start, b->update[0].val, UVMF_INVLPG | UVMF_LOCAL);

	batch_check_applied(b->update, 1, err, !err, b->caller);
	xen_flush_complete(flush, 0);
}

/*
 * The updates, and @flush, NULL where none is owed. @done is storage of this call alone: Xen counts
 * on it across continuations.
 */
static void issue_multicall(struct batch *b, struct xen_flush *flush)
{
	const struct mmu_update *u = (const struct mmu_update *)b->update;
	struct multicall_entry calls[2];
	unsigned done = 0, n = 0;

	static_assert(sizeof(struct pt_update) == sizeof(struct mmu_update), "one format");
	static_assert(PT_PRESERVE_AD == MMU_PT_UPDATE_PRESERVE_AD, "one set of commands");

	if (b->n)
		calls[n++] = xen_call_mmu_update(u, b->n, &done);
	if (flush && flush->any)
		calls[n++] = xen_call_mmuext_op(&flush->op, 1);
	/* A vCPU that reloads its TLB after the flush finds the new entries. */
	ASSERT(!b->n || calls[0].op == __HYPERVISOR_mmu_update);
	xen_multicall(calls, n);
	if (b->n)
		batch_check_applied(b->update, b->n, calls[0].result, done, b->caller);
	if (flush)
		xen_flush_complete(flush, n ? calls[n - 1].result : 0);
}

static void xen_issue(struct batch *b)
{
	struct xen_flush flush;

	if (!b->flush.mm) {
		issue_multicall(b, NULL);
		return;
	}
	count(CNT_TLB_FLUSHES);
	if (xen_flush_prepare(&flush, &b->flush) && is_update_va_mapping(b, &flush))
		update_va_mapping(b, &flush);
	else
		issue_multicall(b, &flush);
}

/* Apart from xen_update(), whose other way must be short and needs no stack. */
static __noinline void xen_update_now(u64 ptr, u64 val, unsigned long caller)
{
	apply_updates(&(struct mmu_update){.ptr = ptr, .val = val}, 1, caller);
}

static __always_inline void xen_update(pte_t *ptep, const pte_t *pte, unsigned n,
				       enum pt_command cmd)
{
	unsigned long caller = (unsigned long)__builtin_return_address(0);

	if (is_lazy_mmu_mode_active()) {
		batch_queue(ptep, pte, n, cmd, caller);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		xen_update_now(maddr_of(ptep + i) | cmd, pte[i].v, caller);
}

static void xen_set_pte(pte_t *ptep, pte_t pte)
{
	pte.v &= ~_PAGE_GLOBAL;
	xen_update(ptep, &pte, 1, PT_NORMAL);
}

/* update_va_mapping reaches the tables that are loaded here: the task's own. */
static bool is_of_loaded_table(const pte_t *ptep)
{
	return virt_to_page(ptep)->table_mm == current->mm;
}

#ifdef CONFIG_DEBUG
static void assert_entry_of(const pte_t *ptep, unsigned long addr)
{
	ASSERT(ptep == pte_offset(*pmd_find(current->mm, addr), addr));
}
#else
static void assert_entry_of(const pte_t *ptep __unused, unsigned long addr __unused) {}
#endif

static __noinline void report_refused(const pte_t *ptep, pte_t pte, long err, unsigned long caller)
{
	struct pt_update u = {.ptr = maddr_of(ptep), .val = pte.v};

	batch_check_applied_by(&u, 1, err, 0, caller);
}

/* Xen takes less for update_va_mapping than for mmu_update, and needs no machine address. */
static void xen_install_pte(pte_t *ptep, pte_t pte, unsigned long addr)
{
	long err;

	if (unlikely(!is_of_loaded_table(ptep))) {
		xen_set_pte(ptep, pte);
		return;
	}
	assert_entry_of(ptep, addr);
	err = xen_update_va_mapping(addr, pte.v, UVMF_NONE);
	if (unlikely(err))
		report_refused(ptep, pte, err, (unsigned long)__builtin_return_address(0));
}

/* A user entry's G bit is Xen's own, and may be given back. */
static void xen_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n)
{
	xen_update(ptep, new, n, PT_PRESERVE_AD);
}

/*
 * See soft_get_and_clear_ptes(): A and D bits that the CPU still sets are harvested after the
 * leave.
 */
static void xen_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n)
{
	ASSERT(n <= PV_RUN_MAX);
	for (unsigned i = 0; i < n; i++)
		old[i].v = READ_ONCE(ptep[i].v);
	xen_update(ptep, batch_none, n, PT_PRESERVE_AD);
	if (is_lazy_mmu_mode_active())
		return;
	for (unsigned i = 0; i < n; i++)
		old[i].v |= READ_ONCE(ptep[i].v) & _PAGE_AD;
}

/* Shorter than a run of one. */
static pte_t xen_ptep_get_and_clear(pte_t *ptep)
{
	pte_t old = {READ_ONCE(ptep->v)};

	xen_update(ptep, &(pte_t){0}, 1, PT_PRESERVE_AD);
	if (!is_lazy_mmu_mode_active())
		old.v |= READ_ONCE(ptep->v) & _PAGE_AD;
	return old;
}

/* User mode has an L4 table of its own, without the kernel's half. */
static bool has_user_twin(const u64 *entry)
{
	const struct page *page = virt_to_page(entry);
	unsigned slot = ((vaddr_t)entry & ~PAGE_MASK) / sizeof(u64);

	return page->level == 4 && page->backend && slot < PTRS_PER_TABLE / 2;
}

static u64 *user_twin(const u64 *entry)
{
	return (u64 *)__va(virt_to_page(entry)->backend << PAGE_SHIFT |
			   ((vaddr_t)entry & ~PAGE_MASK));
}

/*
 * All in one call; an entry of L4 changes in both tables. Links cost one TLB flush together. An
 * unlink that drops a table makes Xen continue the call, and what is left to do is remembered by
 * the vCPU: so the task must not go to another one in between.
 */
static void xen_set_tables(const struct table_change *change, unsigned n)
{
	struct mmu_update u[SET_TABLES_MAX];
	unsigned used = 0;

	BUG_ON(n > SET_TABLES_MAX / 2);
	for (unsigned i = 0; i < n; i++) {
		u64 *entry = change[i].entry, val = change[i].val;

		u[used++] = (struct mmu_update){.ptr = maddr_of(entry), .val = val};
		if (has_user_twin(entry))
			u[used++] =
				(struct mmu_update){.ptr = maddr_of(user_twin(entry)), .val = val};
	}
	count(CNT_TABLE_UPDATES);
	preempt_disable();
	assert_may_continue(); /* a single one, too */
	apply_updates(u, used, (unsigned long)__builtin_return_address(0));
	preempt_enable();
}

static void xen_load_pgd(struct mm *mm __unused, u64 pgd_pfn, unsigned asid __unused,
			 bool flush __unused)
{
	u64 user = pfn_to_page(pfn(pgd_pfn))->backend;
	struct mmuext_op op[2] = {
		{.cmd = MMUEXT_NEW_BASEPTR, .arg1.mfn = xen_p2m[pgd_pfn]},
		{.cmd = MMUEXT_NEW_USER_BASEPTR, .arg1.mfn = user ? xen_p2m[user] : 0},
	};
	long err = xen_mmuext_op(op, 2);

	if (err)
		panic("xen: the tables of pfn %#lx cannot be loaded: %ld", pgd_pfn, err);
}

void xen_mmu_setup(void)
{
	pv_queues_updates = true;
	pv_validates_updates = true;
	pv_owns_tables = true;
	pv_ops.mmu.pfn_to_mfn = xen_pfn_to_mfn;
	pv_ops.mmu.mfn_to_pfn = xen_mfn_to_pfn;
	pv_ops.mmu.set_pte = xen_set_pte;
	pv_ops.mmu.install_pte = xen_install_pte;
	pv_ops.mmu.ptep_get_and_clear = xen_ptep_get_and_clear;
	pv_ops.mmu.get_and_clear_ptes = xen_get_and_clear_ptes;
	pv_ops.mmu.modify_ptes = xen_modify_ptes;
	pv_ops.mmu.set_tables = xen_set_tables;
	pv_ops.mmu.issue = xen_issue;
	pv_ops.mmu.load_pgd = xen_load_pgd;
}
