/* What the flags of mmap ask for. */
#pragma once

#include "mm/mm.h"

/*
 * Add to @vm_flags what MAP_* @flags mean for memory that is anonymous, or of a @device. -EINVAL,
 * -EOPNOTSUPP, or -ENOMEM for huge pages, of which there are none.
 */
int mmap_vm_flags(unsigned long flags, bool device, unsigned long *vm_flags);
