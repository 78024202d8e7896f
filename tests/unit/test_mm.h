/*
 * An address space for unit tests, without a process: a kernel thread borrows it.
 */
#pragma once

#include "mm/pgtable.h"
#include "mm/tables.h"

/* A new mm, loaded on this CPU and current->mm of the calling thread; panics when out of memory. */
struct mm *test_mm_enter(void);
void test_mm_leave(struct mm *mm);
/* Give back the tables of @addr, which no VMA covers and whose entries are none, as munmap would.
 */
void test_free_tables(struct mm *mm, unsigned long addr);
/* The L2 entry of @addr, with a PTE page below it. */
pmd_t *test_pte_page(struct mm *mm, unsigned long addr);
