/* Copying an address space. */
#pragma once

#include "mm/mm.h"

/*
 * Map in @dst what @src maps, and make what is private copy-on-write in both. Both belong to mms
 * whose mmap_lock is held for writing, or that nobody else knows; the TLBs of @src are flushed.
 * -ENOMEM.
 */
int copy_page_range(struct vma *dst, struct vma *src);
