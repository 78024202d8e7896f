/*
 * Xen PV: page-table pages. Each is read-only in the direct map and pinned, from before anybody can
 * reach it until nobody can any more; so no vCPU ever finds it read-only and not yet pinned.
 *
 * Empty tables wait, pinned, in the reserve (mm/table/table_reserve.h). A well-filled one that goes
 * is unpinned with what it holds, which costs Xen a third of clearing its entries:
 * mm/range/whole_table.h.
 */
#include "kernel/arch/preempt.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/frame/page.h"
#include "mm/mm.h"
#include "mm/types/addr.h"
#include "mm/types/pgtable_types.h"
#include "pv/xen/xen.h"

#define XEN_L4_FIRST 256 /* slots 256-271 of each L4 are Xen's own */
#define XEN_L4_END 272

/*
 * Where the ways cross, in present entries of a table. The costs are Xen 4.17's, in instructions.
 * Dropping: a clear is 462 an entry, and with what the kernel does for it (queue, gather, harvest)
 * 616; unpinning 162, with the kernel's share 236, and with making a table again 21,000.
 * Filling: 497 an entry in a table of the reserve; 155 an entry in one that is pinned full, 10,000.
 */
#define DROP_MIN (21000 / (616 - 236))
#define FILL_MIN (10000 / (497 - 155))
#define RESERVE_MAX 64
#define SHIFT_MIN                                                                                  \
	(21000 / (462 - 162 + 497 - 155)) /* the table that is dropped is the one filled */
/* A swing is 26,000, and 280 an entry; a section is 7,000, and 744 for each that changes. */
#define SWING_MIN ((26000 - 7000) / 744)

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

static int xen_alloc_table(struct mm *mm __unused, u64 p, unsigned level)
{
	struct page *user = NULL;

	if (level == 4) {
		user = alloc_page_zeroed(PAGE_TABLE);
		if (!user)
			return -ENOMEM;
		user->level = 4;
		user->backend = 0;
		memset((u64 *)__va(p << PAGE_SHIFT) + XEN_L4_FIRST, 0,
		       (XEN_L4_END - XEN_L4_FIRST) * 8);
		pfn_to_page(pfn(p))->backend = page_to_pfn(user).v;
		make_table(page_to_pfn(user).v, 4);
	}
	make_table(p, level);
	return 0;
}

/* --- unmaking --- */

/*
 * Unpin it, whatever it holds, and make it writable. Stale read-only translations of the direct map
 * may stay in TLBs: a store through one is a spurious fault (kernel/process/page_fault.c).
 */
static void unmake_table(u64 p)
{
	struct mmuext_op unpin = {.cmd = MMUEXT_UNPIN_TABLE, .arg1.mfn = xen_p2m[p]};
	struct multicall_entry calls[] = {
		xen_call_mmuext_op(&unpin, 1),
		xen_call_update_va_mapping((unsigned long)__va(p << PAGE_SHIFT),
					   xen_p2m[p] << PAGE_SHIFT | XEN_KERNEL_RW, 0),
	};

	preempt_disable(); /* as in xen_set_tables() */
	assert_may_continue();
	xen_multicall(calls, ARRAY_SIZE(calls));
	preempt_enable();
	check("unpinning", p, calls[0].result);
	check("making writable", p, calls[1].result);
}

static void xen_unmake_table(u64 p)
{
	u64 user_l4 = pfn_to_page(pfn(p))->backend;

	unmake_table(p);
	if (user_l4) {
		unmake_table(user_l4);
		free_page(pfn_to_page(pfn(user_l4)));
	}
}

void xen_tables_setup(void)
{
	pv_ops.mmu.alloc_table = xen_alloc_table;
	pv_table_costs = (struct pv_table_costs){.fill_min = FILL_MIN,
						 .drop_min = DROP_MIN,
						 .shift_min = SHIFT_MIN,
						 .swing_min = SWING_MIN,
						 .reserve_max = RESERVE_MAX};
	pv_ops.mmu.unmake_table = xen_unmake_table;
}
