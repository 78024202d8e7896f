/*
 * Xen PV: a debug Xen with performance counters as a witness of the kernel's own.
 *
 * A dom0 may press Xen's debug keys: P resets Xen's counters, p prints them on the console. Between
 * the two, what the kernel counted must be what Xen counted; tests/system/test_xen_debug.py
 * compares. Sources: Xen's public/sysctl.h, xen/common/perfc.c.
 */
#define __XEN_TOOLS__ /* before any of Xen's headers: the toolstack's interfaces too */
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "pv/xen/xen.h"

#include <xen/sysctl.h>

static u64 mmu_updates, entries, emulated;

static void press(const char *key)
{
	struct xen_sysctl op = {
		.cmd = XEN_SYSCTL_debug_keys,
		.interface_version = XEN_SYSCTL_INTERFACE_VERSION,
		.u.debug_keys.nr_keys = 1,
	};
	long err;

	set_xen_guest_handle(op.u.debug_keys.keys, key);
	err = hypercall(__HYPERVISOR_sysctl, (u64)&op, 0, 0, 0);
	if (err)
		panic("xen: sysctl debug_keys %s refused: %ld", key, err);
}

void xen_witness(bool end)
{
	if (end) {
		press("p");
		pr_info("witness: mmu_updates=%lu entries=%lu emulated=%lu\n",
			counter_sum(CNT_MMU_UPDATES) - mmu_updates,
			counter_sum(CNT_MMU_UPDATE_ENTRIES) - entries,
			counter_sum(CNT_EMULATED_WRITES) - emulated);
		return;
	}
	mmu_updates = counter_sum(CNT_MMU_UPDATES);
	entries = counter_sum(CNT_MMU_UPDATE_ENTRIES);
	emulated = counter_sum(CNT_EMULATED_WRITES);
	press("P");
}
