/*
 * The PVH boot path: QEMU's -kernel and Xen's PVH guests hand over a struct hvm_start_info
 * (Xen public header arch-x86/hvm/start_info.h). Runs on the boot CPU, before any lock exists.
 */
#include "kernel/debug/panic.h"
#include "kernel/param/boot_info.h"
#include "mm/types/addr.h"

#include <xen/arch-x86/hvm/start_info.h> /* wants the integer types defined before it */

static void parse_memmap(const struct hvm_start_info *si)
{
	const struct hvm_memmap_table_entry *map = __va(si->memmap_paddr);

	if (si->version < 1 || !si->memmap_entries)
		panic("boot: PVH start info version %u has no memory map", si->version);
	for (u32 i = 0; i < si->memmap_entries; i++)
		if (map[i].type == XEN_HVM_MEMMAP_TYPE_RAM)
			boot_add_ram(map[i].addr, map[i].size);
	for (u32 i = 0; i < si->memmap_entries; i++)
		if (map[i].type != XEN_HVM_MEMMAP_TYPE_RAM)
			boot_cut_ram(map[i].addr, map[i].size);
}

void boot_parse_pvh(paddr_t info)
{
	const struct hvm_start_info *si = __va(info);

	if (si->magic != XEN_HVM_START_MAGIC_VALUE)
		panic("boot: PVH start info at %#lx has magic %#x", info, si->magic);
	boot_info.protocol = "pvh";
	boot_info.rsdp = si->rsdp_paddr;
	if (si->cmdline_paddr)
		boot_set_cmdline(__va(si->cmdline_paddr));
	if (si->nr_modules) {
		const struct hvm_modlist_entry *mod = __va(si->modlist_paddr);

		boot_info.module = (struct mem_region){mod->paddr, mod->paddr + mod->size};
	}
	parse_memmap(si);
}
