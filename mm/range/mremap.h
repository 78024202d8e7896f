/* Moving mappings. */
#pragma once

#include "mm/mm.h"

/*
 * Move the entries of @vma, which is [old, old + len), to [new, new + len), which has none, in the
 * same mm. mmap_lock held for writing. -ENOMEM: nothing was moved; empty tables may be left at the
 * new place.
 */
int move_page_tables(struct vma *vma, unsigned long old, unsigned long new, unsigned long len);
