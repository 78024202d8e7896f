/*
 * An address space with a few mapped pages, whose entries change from one page to another with a
 * different number in it: for the suites `tlb` and `race-tlb`.
 */
#pragma once

#include "kernel/cpu/smp.h"
#include "mm/lazy/tlb.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define PAGES (TLB_FLUSH_CEILING + 2)

extern struct tlb_area {
	struct mm *mm;
	pte_t *ptep;
	struct page *page[2];
} area;

/* Load the address space; preemption is off until area_teardown(). */
void area_setup(void);
void area_teardown(void);
/* Entries [from, to) map page @which, which says so. Nothing is invalidated. */
void area_map(unsigned from, unsigned to, unsigned which);
/* The number in the page that entry @i maps, as this CPU's TLB has it. */
u32 area_read(unsigned i);
/* All entries map page 0, and the TLB knows it. */
void area_start_over(void);
/* Switch to @mm, NULL: to none, as the scheduler does. */
void area_use(struct mm *mm);
/* This CPU is known to have @mm loaded, in use or not. */
bool area_is_loaded(const struct mm *mm);
/* What invalidates entries [from, to). */
struct tlb_flush area_pages(unsigned from, unsigned to);
/* An invalidation of a page, or of freed tables, reaches this CPU. */
bool area_concerned(bool freed_tables);
/* Entries [from, to) show page 1, and this CPU has followed all that was invalidated. */
void area_expect_new(struct ktest *t, unsigned from, unsigned to);
