/* The files of the boot module: one ELF, or a cpio archive in the newc format. */
#pragma once

#include "kernel/lib/types.h"

struct file {
	const char *name;
	const void *data;
	size_t size;
};

/*
 * Find @name in the module. False after saying what is wrong: no module, no such file, a damaged
 * archive. If the module is a single ELF it answers to any name.
 */
bool module_find(const char *name, struct file *f);
/*
 * Find @name in the archive [p, p + size); a leading / or ./ makes no difference. The reason in
 * *wrong when false. Pure; host-tested.
 */
bool cpio_find(const void *p, size_t size, const char *name, struct file *f, const char **wrong);
