/* The zero page, and mapping it over a range. */
#pragma once

#include "mm/mm.h"

struct page;

/* Never freed, never counted: entries that map it are special. */
extern struct page *zero_page;
/* At boot, before the first process; panics when out of memory. */
void zero_page_init(void);

/* Map the zero page, read-only, wherever [start, end) of @vma has no entry; -ENOMEM. */
int zeromap_page_range(struct vma *vma, unsigned long start, unsigned long end);
