/*
 * The boot module: where the loader put it, and what is in it. Read-only after boot; no locks.
 */
#include <elf.h>

#include "kernel/debug/printk.h"
#include "kernel/lib/cpio.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"
#include "mm/types/addr.h"

bool module_find(const char *name, struct file *f)
{
	const void *p = __va(boot_info.module.start);
	size_t size = boot_info.module.end - boot_info.module.start;
	const char *wrong = "there is no boot module (-initrd, or module2 in GRUB)";

	if (size >= SELFMAG && !memcmp(p, ELFMAG, SELFMAG)) {
		*f = (struct file){name, p, size};
		return true;
	}
	if (size && cpio_find(p, size, name, f, &wrong))
		return true;
	pr_err("module: %s: %s\n", name, wrong);
	return false;
}
