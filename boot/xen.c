/*
 * The boot path of Xen PV: pv/xen/entry.asm calls xen_entry_c() on a stack of the image, with the
 * page tables that Xen's builder made. Source: Xen's public/xen.h, struct start_info.
 */
#include "boot/main.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/layout.h"
#include "kernel/param/boot_info.h"
#include "kernel/param/cmdline.h"
#include "kernel/sched/task.h"
#include "mm/frame/early.h"
#include "pv/xen/xen.h"

void xen_entry_c(struct start_info *si) __noreturn;

static void fill_boot_info(void)
{
	const struct start_info *si = xen_start_info;

	boot_info.protocol = si->flags & SIF_INITDOMAIN ? "xen (dom0)" : "xen (domU)";
	boot_set_cmdline((const char *)si->cmd_line);
	boot_add_ram(0, si->nr_pages << PAGE_SHIFT);
	/* The builder maps the module, for want of the ELF note that would let it not. */
	BUG_ON(si->flags & SIF_MOD_START_PFN);
	if (si->mod_len)
		boot_info.module = (struct mem_region){si->mod_start - KERNEL_BASE,
						       si->mod_start - KERNEL_BASE + si->mod_len};
}

void xen_entry_c(struct start_info *si)
{
	xen_setup(si);
	percpu_init_boot_cpu(&boot_task);
	xen_set_traps();
	fill_boot_info();
	cpu_detect("smep,smap,umip,fsgsbase,pcid,x2apic,swapgs_fence");
	boot_parse_params();
	boot_report();
	cpu_report();
	xen_clock_init();
	early_init();
	early_release_image_tail(); /* Xen mapped it writable */
	early_reserve(0, xen_first_free_pfn() << PAGE_SHIFT);
	xen_set_writable_tables(!pv_queues_updates);
	xen_direct_map_init();
	pv_patch_all();
	xen_protect_image();
	xen_console_use_direct_map();
	xen_set_gdt();
	xen_prepare_vcpus(boot_params.maxcpus);
	start_kernel(xen_start_vcpus);
}
