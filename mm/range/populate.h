/* Filling a range before it is touched. */
#pragma once

#include "mm/mm.h"

/*
 * New pages for the entries of [addr, end) that map nothing, all below @pmd, in one section.
 * -ENOMEM: what was filled stays. The lock of @vma is held, or mmap_lock.
 */
int populate_entries(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end);

enum access {
	ACCESS_READ,
	ACCESS_WRITE,
};

/*
 * Make every page of [start, end) of @vma present, for @access. mmap_lock held. -ENOMEM, -EFAULT
 * beyond the end of a shared object, or -EINTR where the process ends: what was filled stays, but
 * for a table that was not complete.
 */
int populate_range(struct vma *vma, unsigned long start, unsigned long end, enum access access);
