/* Dropping mappings: munmap, madvise(MADV_DONTNEED) and exit. */
#pragma once

#include "mm/range/mmu_gather.h"
#include "mm/table/tables.h"

/* [floor, ceiling), around a range: nothing else uses what lies between. */
struct gap {
	unsigned long floor, ceiling;
};
#define NO_GAP ((struct gap){0, 0})

/*
 * Drop all entries of [start, end) of @vma and free what they mapped. mmap_lock held, either way.
 * But well-filled tables that cover nothing outside of @gap, which nobody can use any more, are
 * left for free_pgtables(), which must follow; NO_GAP: none are.
 */
void zap_page_range(struct mmu_gather *tlb, struct vma *vma, unsigned long start, unsigned long end,
		    struct gap gap);
/*
 * Drop the same of a VMA that stays; in @gap nothing but [start, end) is mapped, and whole tables
 * within it go. mmap_lock is held for writing.
 */
void discard_page_range(struct mmu_gather *tlb, struct vma *vma, unsigned long start,
			unsigned long end, struct gap gap);
/*
 * Gather the tables below [start, end), which has no VMA any more, and collect their unlinking in
 * @tc; @gap is the free space around it. page_table_lock is held until the commit; mmap_lock,
 * either way.
 */
void free_pgtables(struct mmu_gather *tlb, struct table_changes *tc, unsigned long start,
		   unsigned long end, struct gap gap);
