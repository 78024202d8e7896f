/* How much memory an address space holds. */
#pragma once

#include "mm/mm.h"

struct footprint {
	unsigned long pages;  /* that its entries map: as Linux's RSS, without the zero page */
	unsigned long tables; /* of all levels */
};

/*
 * Count. The caller holds a reference to @mm. Takes page_table_lock, a GiB at a time; entries are
 * read without their locks, so what others do meanwhile may be counted or not.
 */
struct footprint mm_footprint(struct mm *mm);
