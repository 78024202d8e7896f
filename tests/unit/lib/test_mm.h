/*
 * An address space for unit tests, without a process: a kernel thread borrows it.
 */
#pragma once

#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

/* A new mm, loaded on this CPU and current->mm of the calling thread; panics when out of memory. */
struct mm *test_mm_enter(void);
void test_mm_leave(struct mm *mm);
/*
 * Give back the tables of [start, end), as munmap would: all that @mm has there, without a VMA, and
 * all entries are none.
 */
void test_free_tables(struct mm *mm, unsigned long start, unsigned long end);
/* An entry that maps nothing and says @n: no rights, and a frame that does not exist. */
static inline pte_t test_value(unsigned n)
{
	return frame_pte(((u64)n + 1) << PAGE_SHIFT, _PAGE_PROTNONE);
}
/* The L2 entry of @addr, with a PTE page below it. */
pmd_t *test_pte_page(struct mm *mm, unsigned long addr);
