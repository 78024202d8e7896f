/*
 * Xen PV, the slow way: PTEs are written by plain stores to read-only tables; each one traps, and
 * Xen emulates it ("writable page tables"). Linux clears PTEs like this on Xen. It is the honest
 * baseline that batching is measured against. Upper levels change by mmu_update all the same,
 * because Xen emulates nothing there.
 *
 * A section batches its TLB invalidations only, as on native hardware.
 */
#include "kernel/debug/counters.h"
#include "mm/frame/page.h"
#include "pv/native/native.h"
#include "pv/xen/xen.h"

static void ptwr_set_pte(pte_t *ptep, pte_t pte)
{
	count(CNT_EMULATED_WRITES);
	native_set_pte(ptep, (pte_t){pte.v & ~_PAGE_GLOBAL});
}

static void ptwr_install_pte(pte_t *ptep, pte_t pte, unsigned long addr __unused)
{
	ptwr_set_pte(ptep, pte);
}

static pte_t ptwr_ptep_get_and_clear(pte_t *ptep)
{
	count(CNT_EMULATED_WRITES);
	return native_ptep_get_and_clear(ptep);
}

static void ptwr_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n)
{
	count_n(CNT_EMULATED_WRITES, n);
	native_get_and_clear_ptes(ptep, old, n);
}

static void ptwr_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n)
{
	count_n(CNT_EMULATED_WRITES, n);
	native_modify_ptes(ptep, new, n);
}

void xen_ptwr_setup(void)
{
	pv_ops.name = "ptwr";
	pv_queues_updates = false;
	pv_validates_updates = false; /* a store that Xen refuses is a fault */
	pv_ops.mmu.set_pte = ptwr_set_pte;
	pv_ops.mmu.install_pte = ptwr_install_pte;
	pv_ops.mmu.ptep_get_and_clear = ptwr_ptep_get_and_clear;
	pv_ops.mmu.get_and_clear_ptes = ptwr_get_and_clear_ptes;
	pv_ops.mmu.modify_ptes = ptwr_modify_ptes;
}
