/*
 * Suite `tlb`: which CPU an invalidation concerns, and what each has followed.
 *
 * Oracle: where an invalidation has returned, a read finds the new number; a CPU that the
 * invalidation passed over, since it does not use the address space, finds it when it comes back;
 * and what a CPU says that it has followed is never more than that. race_tlb.c asks the same at
 * each instruction.
 */
#include "kernel/arch/preempt.h"
#include "kernel/debug/counters.h"
#include "mm/frame/page.h"
#include "mm/lazy/lazy_mmu.h"
#include "tests/unit/lib/tlb_area.h"

static void every_page_of_a_range(struct ktest *t)
{
	static const unsigned lengths[] = {1, 2, TLB_FLUSH_CEILING, TLB_FLUSH_CEILING + 1};

	area_setup();
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		area_start_over();
		area_map(1, 1 + lengths[k], 1);
		flush_tlb_range(area.mm, ADDR + PAGE_SIZE, ADDR + (1 + lengths[k]) * PAGE_SIZE);
		area_expect_new(t, 1, 1 + lengths[k]);
	}
	area_start_over();
	area_map(5, 6, 1);
	flush_tlb_page(area.mm, ADDR + 5 * PAGE_SIZE);
	area_expect_new(t, 5, 6);
	area_start_over();
	area_map(0, PAGES, 1);
	flush_tlb_mm(area.mm);
	area_expect_new(t, 0, PAGES);
	area_start_over();
	area_map(0, 1, 1);
	flush_tlb_tables(area.mm, ADDR, ADDR + PAGE_SIZE);
	area_expect_new(t, 0, 1);
	area_teardown();
}

/*
 * Cost: an invalidation of few pages leaves other translations alone. A CPU may drop them for
 * reasons of its own, but not each time: Xen switches vCPUs by the wall clock, which on a loaded
 * host has moved on at each look. So what lies between the read and the look is short.
 */
static void few_pages_are_invalidated_alone(struct ktest *t)
{
	bool kept = false;

	area_setup();
	for (unsigned attempt = 0; attempt < 100 && !kept; attempt++) {
		struct tlb_flush f = area_pages(0, TLB_FLUSH_CEILING);

		area_start_over();
		area_map(0, PAGES, 1);
		area_map(TLB_FLUSH_CEILING, PAGES, 0);
		area_read(TLB_FLUSH_CEILING);
		area_map(TLB_FLUSH_CEILING, PAGES, 1);
		tlb_flush_by_call(&f);
		kept = area_read(TLB_FLUSH_CEILING) == 0;
		area_expect_new(t, 0, TLB_FLUSH_CEILING);
	}
	KEXPECT(t, kept);
	area_teardown();
}

/*
 * Another CPU has raised the generation, and its call has not come yet when this one's does. That
 * is covered by a whole flush; or, with flush=exact, it is not followed, and the next use of the mm
 * makes good for it.
 */
static void an_earlier_change_is_not_forgotten(struct ktest *t)
{
	const bool exact = tlb_flush_exact;

	for (unsigned i = 0; i < 2; i++) {
		struct tlb_flush f;

		tlb_flush_exact = i;
		area_setup();
		area_map(0, 1, 1);
		tlb_new_generation(area.mm);
		area_map(1, 2, 1);
		f = area_pages(1, 2);
		tlb_flush_by_call(&f);
		KEXPECT_EQ(t, area_read(1), 1);
		KEXPECT_EQ(t, f.generation - tlb_followed_here(area.mm), i ? 2 : 0);
		if (i) {
			area_use(NULL);
			area_use(area.mm);
		}
		area_expect_new(t, 0, 2);
		area_teardown();
	}
	tlb_flush_exact = exact;
}

/* No page of a range is left out, or taken for another's, where no whole flush helps. */
static void an_exact_range_is_exact(struct ktest *t)
{
	const bool exact = tlb_flush_exact;
	bool kept = false;

	tlb_flush_exact = true;
	area_setup();
	for (unsigned attempt = 0; attempt < 100 && !kept; attempt++) {
		struct tlb_flush f = area_pages(0, PAGES - 1);

		area_start_over();
		area_map(0, PAGES, 1);
		area_map(PAGES - 1, PAGES, 0);
		area_read(PAGES - 1);
		area_map(PAGES - 1, PAGES, 1);
		tlb_flush_by_call(&f);
		kept = area_read(PAGES - 1) == 0;
		area_expect_new(t, 0, PAGES - 1);
	}
	KEXPECT(t, kept);
	area_teardown();
	tlb_flush_exact = exact;
}

/* The same by the backend's own flush: this CPU has followed the other's only if it knows. */
static void an_earlier_change_is_not_claimed(struct ktest *t)
{
	area_setup();
	for (unsigned n = 1; n < 4; n += 2) {
		area_start_over();
		area_map(0, 1, 1);
		tlb_new_generation(area.mm);
		area_map(1, 1 + n, 1);
		flush_tlb_range(area.mm, ADDR + PAGE_SIZE, ADDR + (1 + n) * PAGE_SIZE);
		if (tlb_followed_here(area.mm) == READ_ONCE(area.mm->tlb.generation.v))
			KEXPECT_EQ(t, area_read(0), 1);
		area_use(NULL);
		area_use(area.mm);
		area_expect_new(t, 0, 1 + n);
	}
	area_teardown();
}

static void an_idle_cpu_catches_up(struct ktest *t)
{
	u64 caught_up;

	area_setup();
	KEXPECT(t, area_concerned(false) && area_concerned(true));
	area_use(NULL);
	KEXPECT(t, area_is_loaded(area.mm) && !area_concerned(false) && area_concerned(true));
	area_map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	KEXPECT(t, area_is_loaded(area.mm));
	caught_up = counter_sum(CNT_TLB_GENERATION_FLUSHES);
	area_use(area.mm);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_GENERATION_FLUSHES), caught_up + 1);
	area_expect_new(t, 0, 1);
	KEXPECT(t, area_concerned(false));
	area_use(NULL);
	area_use(area.mm);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_GENERATION_FLUSHES), caught_up + 1);
	area_teardown();
}

/* What one section owes to two address spaces. */
static void two_are_owed(struct ktest *t)
{
	struct mm *other = mm_alloc();
	struct spinlock *ptl;
	lazy_mmu_state_t s;
	u64 before[2];

	BUG_ON(!other);
	area_setup();
	before[0] = READ_ONCE(area.mm->tlb.generation.v);
	before[1] = READ_ONCE(other->tlb.generation.v);
	pte_offset_map_lock(pmd_find(area.mm, ADDR), ADDR, &ptl);
	s = arch_enter_lazy_mmu_mode();
	area_map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	flush_tlb_page(other, ADDR);
	arch_leave_lazy_mmu_mode(s);
	pte_unmap_unlock(area.ptep, ptl);
	KEXPECT_EQ(t, READ_ONCE(area.mm->tlb.generation.v), before[0] + 1);
	KEXPECT_EQ(t, READ_ONCE(other->tlb.generation.v), before[1] + 1);
	area_expect_new(t, 0, 1);
	area_teardown();
	mm_put(other);
}

/*
 * One update and one page to invalidate: where a backend has one call for both, of one page only.
 */
static void the_update_is_of_another_page(struct ktest *t)
{
	struct spinlock *ptl;
	lazy_mmu_state_t s;

	area_setup();
	pv_set_pte(area.ptep + 5, (pte_t){0});
	flush_tlb_page(area.mm, ADDR + 5 * PAGE_SIZE);
	pte_offset_map_lock(pmd_find(area.mm, ADDR), ADDR, &ptl);
	s = arch_enter_lazy_mmu_mode();
	area_map(5, 6, 1);
	flush_tlb_page(area.mm, ADDR + PAGE_SIZE);
	arch_leave_lazy_mmu_mode(s);
	pte_unmap_unlock(area.ptep, ptl);
	KEXPECT_EQ(t, pte_pfn(ptep_get(area.ptep + 1)).v, page_to_pfn(area.page[0]).v);
	KEXPECT_EQ(t, pte_pfn(ptep_get(area.ptep + 5)).v, page_to_pfn(area.page[1]).v);
	area_expect_new(t, 5, 6);
	area_teardown();
}

static void another_mm_comes_between(struct ktest *t)
{
	struct mm *other = mm_alloc();
	u64 followed;

	BUG_ON(!other);
	area_setup();
	area_use(other);
	KEXPECT(t, area_is_loaded(other) && !area_is_loaded(area.mm) && !area_concerned(true));
	followed = tlb_followed_here(other);
	KEXPECT(t, followed && !tlb_followed_here(area.mm));
	tlb_follow_here(area.mm, followed + 1);
	KEXPECT_EQ(t, tlb_followed_here(other), followed);
	tlb_follow_here(other, followed + 1);
	KEXPECT_EQ(t, tlb_followed_here(other), followed + 1);
	area_map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	area_use(area.mm);
	KEXPECT(t, area_is_loaded(area.mm) && !area_is_loaded(other) && area_concerned(false));
	area_expect_new(t, 0, 1);
	area_teardown();
	mm_put(other);
}

/* A CPU that has tables loaded without using them may walk them all the same. */
static void freed_tables_are_left(struct ktest *t)
{
	struct tlb_flush f;

	area_setup();
	area_use(NULL);
	f = area_pages(0, 1);
	tlb_flush_by_call(&f);
	KEXPECT(t, area_is_loaded(area.mm));
	f.freed_tables = true;
	tlb_flush_by_call(&f);
	KEXPECT(t, !area_is_loaded(area.mm));
	area_use(area.mm);
	KEXPECT(t, area_concerned(false));
	tlb_flush_by_call(&f);
	KEXPECT(t, area_is_loaded(area.mm));
	area_teardown();
}

/* The same for tables that are unlinked; on Xen its flush is enough. */
static void unlinked_tables_are_left(struct ktest *t)
{
	unsigned long addr = ADDR + PGD_SIZE;
	u64 flushes;

	area_setup();
	preempt_enable();
	test_pte_page(area.mm, addr);
	preempt_disable();
	area_use(NULL);
	flushes = counter_sum(CNT_TLB_FLUSHES);
	test_free_tables(area.mm, addr, addr + PAGE_SIZE);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES), flushes + 1);
	if (pv_ops.mmu.flush_tlb == tlb_flush_by_call)
		KEXPECT(t, !area_is_loaded(area.mm));
	area_use(area.mm);
	area_teardown();
}

static const struct ktest_case cases[] = {
	{"every_page_of_a_range", every_page_of_a_range},
	{"few_pages_are_invalidated_alone", few_pages_are_invalidated_alone},
	{"an_earlier_change_is_not_forgotten", an_earlier_change_is_not_forgotten},
	{"an_exact_range_is_exact", an_exact_range_is_exact},
	{"an_earlier_change_is_not_claimed", an_earlier_change_is_not_claimed},
	{"an_idle_cpu_catches_up", an_idle_cpu_catches_up},
	{"two_are_owed", two_are_owed},
	{"the_update_is_of_another_page", the_update_is_of_another_page},
	{"another_mm_comes_between", another_mm_comes_between},
	{"freed_tables_are_left", freed_tables_are_left},
	{"unlinked_tables_are_left", unlinked_tables_are_left},
};
KTEST_SUITE(tlb_suite, "tlb", "which CPUs an invalidation concerns", true, cases);
