/* Filling a range before it is touched: MAP_POPULATE, MADV_POPULATE_READ and _WRITE. */
#pragma once

#include "mm/mm.h"

/*
 * New pages for the entries of [addr, end) that map nothing, all below @pmd, in one section.
 * -ENOMEM: what was filled stays. The lock of @vma is held, or mmap_lock.
 */
int populate_entries(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end);

/*
 * Make every page of [start, end) of @vma present; with @write, also private and writable. -ENOMEM:
 * what was filled stays, but for a table that was not complete. mmap_lock held for reading.
 */
int populate_range(struct vma *vma, unsigned long start, unsigned long end, bool write);
