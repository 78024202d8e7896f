/*
 * struct boot_info and the helpers by which the boot paths fill it. Used before any lock exists, by
 * the boot CPU alone.
 */
#include "boot/boot_info.h"
#include "kernel/printk.h"
#include "kernel/string.h"

struct boot_info boot_info;

void boot_add_ram(paddr_t start, paddr_t end)
{
	start = ALIGN_UP(start, PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (start >= end)
		return;
	if (boot_info.nr_ram == BOOT_MAX_REGIONS) {
		pr_warn("boot: more than %d memory regions, %#lx-%#lx is not used\n",
			BOOT_MAX_REGIONS, start, end);
		return;
	}
	boot_info.ram[boot_info.nr_ram++] = (struct mem_region){start, end};
}

void boot_set_cmdline(const char *s)
{
	boot_info.cmdline_truncated = strnlen(s, BOOT_CMDLINE_MAX) >= BOOT_CMDLINE_MAX;
	strlcpy(boot_info.cmdline, s, BOOT_CMDLINE_MAX);
}
