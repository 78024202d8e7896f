/*
 * Going along page tables: for range functions, for audits and for a panic.
 */
#pragma once

#include "mm/mm.h"

/*
 * The shape of every range function: change the entries of [addr, end), which lies within @vma and
 * within the one PTE page that @pmd links. It takes the page's lock, enters a lazy section, goes
 * along the entries, owes the TLB invalidation, leaves and unlocks: mm/range/pte_section.h. 0 or a
 * negative error.
 */
typedef int (*pte_range_fn)(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			    void *arg);

/* mmap_lock is held. Call @fn for each PTE page that exists in [addr, end); stops at its first
 * error. */
int walk_pte_ranges(struct vma *vma, unsigned long addr, unsigned long end, pte_range_fn fn,
		    void *arg);
/* The same, making the PTE pages that are missing; -ENOMEM. */
int walk_pte_ranges_alloc(struct vma *vma, unsigned long addr, unsigned long end, pte_range_fn fn,
			  void *arg);

/* For a panic: print the entries of all levels for @addr, in @mm or in what CR3 holds. */
void page_walk_print(const struct mm *mm, unsigned long addr);
