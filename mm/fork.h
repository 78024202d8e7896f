/* Copying an address space. */
#pragma once

#include "mm/mm.h"

/*
 * Make in @dst the tables that the PTE pages of @src's VMAs need, in one change of the upper
 * levels. -ENOMEM. Both mms' layouts are the caller's: mmap_lock is held for writing, or nobody
 * else knows the mm.
 */
int copy_tables(struct mm *dst, struct mm *src);
/*
 * Map in @dst what @src maps, and make what is private copy-on-write in both; copy_tables() has
 * made the tables, but for PTE pages that are copied as a whole. The TLBs of @src are flushed.
 * -ENOMEM: what is copied stays, for mm_put(@dst).
 */
int copy_page_range(struct vma *dst, struct vma *src);
