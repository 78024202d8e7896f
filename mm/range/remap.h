/* Mapping fixed frames into user mode. */
#pragma once

#include "mm/mm.h"

/*
 * Map the frames from @first on over [start, end) of @vma, which is VM_PFNMAP and has no entries.
 * The frames are not counted and stay their owner's. -ENOMEM: the caller zaps what was mapped.
 */
int remap_pfn_range(struct vma *vma, unsigned long start, unsigned long end, pfn_t first);
