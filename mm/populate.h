/* Filling a range before it is touched: MAP_POPULATE, MADV_POPULATE_READ and _WRITE. */
#pragma once

#include "mm/mm.h"

/*
 * Make every page of [start, end) of @vma present; with @write, also private and writable. -ENOMEM:
 * what was filled stays. mmap_lock held for reading.
 */
int populate_range(struct vma *vma, unsigned long start, unsigned long end, bool write);
