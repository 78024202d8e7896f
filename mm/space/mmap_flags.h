/* What the arguments of the calls ask for. */
#pragma once

#include "kernel/lib/layout.h"
#include "mm/layout/mman.h"
#include "mm/mm.h"

/*
 * Add to @vm_flags what MAP_* @flags mean for memory that is anonymous, or of a @device. -EINVAL,
 * -EOPNOTSUPP, or -ENOMEM for huge pages, of which there are none.
 */
int mmap_vm_flags(unsigned long flags, bool device, unsigned long *vm_flags);

/* Page-aligned, not empty, within the user half. */
static inline bool user_range_ok(unsigned long addr, unsigned long len)
{
	return !(addr & ~PAGE_MASK) && len && len <= USER_END && addr <= USER_END - len;
}

/* VM_READ, VM_WRITE and VM_EXEC for PROT_* @prot; its other bits are dropped. */
static inline unsigned long prot_to_vm_flags(unsigned long prot)
{
	static_assert(PROT_READ == VM_READ && PROT_WRITE == VM_WRITE && PROT_EXEC == VM_EXEC, "");
	return prot & VM_ACCESS;
}
