/* Filling a range before it is touched: MAP_POPULATE, MADV_POPULATE_READ and _WRITE. */
#pragma once

#include "mm/mm.h"

enum populate {
	POPULATE_MAP, /* MAP_POPULATE: with the rights of each VMA; a hint, which cannot fail */
	POPULATE_READ,
	POPULATE_WRITE, /* private and writable */
};

/*
 * Make every page of [start, end) present, VMA by VMA up to the first hole. Takes mmap_lock, and
 * gives it back now and then. What was filled stays, but for a table that was not complete.
 * -EINTR: the process ends. Else POPULATE_MAP gives 0, the others Linux's errors: -ENOMEM for a
 * hole, or want of memory, and -EINVAL where a VMA lacks the right or maps a device.
 */
int mm_populate(struct mm *mm, unsigned long start, unsigned long end, enum populate how);
