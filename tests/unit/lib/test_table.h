/*
 * What unit tests of whole tables ask of the address space that is loaded, and write into it.
 */
#pragma once

#include "kernel/entry/uaccess.h"
#include "kernel/sched/task.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "tests/ktest.h"

#define TEST_TABLE_PAGES 100 /* that are used, from the first of a table on */

/* True: @addr may be written; the word of the case stays. */
static inline bool writable(unsigned long addr)
{
	return put_user32(addr + 8, 0) == 0;
}

/* The word at @addr; ~0: it cannot be read. */
static inline u32 word(unsigned long addr)
{
	u32 v = ~0u;

	return get_user32(addr, &v) ? ~0u : v;
}

/* The entry of @addr, whose table is there. */
static inline pte_t entry(unsigned long addr)
{
	return ptep_get(pte_offset(*pmd_find(current->mm, addr), addr));
}

static inline struct page *table_of(unsigned long addr)
{
	return pfn_to_page(pmd_pfn(*pmd_find(current->mm, addr)));
}

/* Each page from @base on gets a word of its own. */
static inline void write_pages(struct ktest *t, unsigned long base, u32 first)
{
	for (unsigned i = 0; i < TEST_TABLE_PAGES; i++)
		KEXPECT_EQ(t, put_user32(base + i * PAGE_SIZE, first + i), 0);
}

static inline void check_pages(struct ktest *t, unsigned long base, u32 first)
{
	for (unsigned i = 0; i < TEST_TABLE_PAGES; i++)
		KEXPECT_EQ(t, word(base + i * PAGE_SIZE), first + i);
}
