/* Copying an address space. */
#pragma once

#include "mm/mm.h"

/*
 * Map in @dst, whose VMAs are copies of @src's, what @src maps, and make what is private
 * copy-on-write in both. The TLBs of @src are flushed. -ENOMEM: what is copied stays, for
 * mm_put(@dst). mmap_lock of both is held for writing.
 */
int copy_page_tables(struct mm *dst, struct mm *src);
