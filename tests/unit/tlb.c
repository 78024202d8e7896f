/*
 * Suite `tlb`: which CPU an invalidation concerns, and what each has followed.
 *
 * Entries change from one page to another, with a different number in it. Oracle: where an
 * invalidation has returned, a read finds the new number; a CPU that the invalidation passed over,
 * since it does not use the address space, finds it when it comes back; and what a CPU says that it
 * has followed is never more than that. The flusher is played at each instruction boundary of a
 * switch: it must see the CPU, or the CPU its generation.
 */
#include "mm/tlb.h"

#include "kernel/counters.h"
#include "kernel/io.h"
#include "kernel/irqflags.h"
#include "kernel/sched.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "mm/lazy_mmu.h"
#include "mm/page.h"
#include "tests/ktest.h"
#include "tests/unit/step.h"
#include "tests/unit/test_mm.h"

#define ADDR 0x40000000UL
#define PAGES (TLB_FLUSH_CEILING + 2)

static struct {
	struct mm *mm;
	pte_t *ptep;
	struct page *page[2];
} area;

/* Entries [from, to) map page @which, which says so. */
static void map(unsigned from, unsigned to, unsigned which)
{
	for (unsigned i = from; i < to; i++)
		pv_set_pte(area.ptep + i, mk_pte(area.page[which], vm_page_prot(VM_READ)));
}

static u32 read(unsigned i)
{
	u32 v = ~0u;

	get_user32(ADDR + i * PAGE_SIZE, &v);
	return v;
}

/* All entries map page 0, and the TLB knows it. */
static void start_over(void)
{
	map(0, PAGES, 0);
	flush_tlb_mm(area.mm);
	for (unsigned i = 0; i < PAGES; i++)
		read(i);
}

/* A switch of the task would reload the TLB. */
static void setup(void)
{
	area.mm = test_mm_enter();
	area.ptep = pte_offset(*test_pte_page(area.mm, ADDR), ADDR);
	for (u32 i = 0; i < ARRAY_SIZE(area.page); i++) {
		area.page[i] = alloc_page_zeroed(PAGE_USER);
		BUG_ON(!area.page[i]);
		*(u32 *)page_to_virt(area.page[i]) = i;
	}
	preempt_disable();
	start_over();
}

static void teardown(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		pv_set_pte(area.ptep + i, (pte_t){0});
	flush_tlb_mm(area.mm);
	preempt_enable();
	for (unsigned i = 0; i < ARRAY_SIZE(area.page); i++)
		put_page(area.page[i]);
	test_free_tables(area.mm, ADDR, ADDR + PAGE_SIZE);
	test_mm_leave(area.mm);
}

/* As the scheduler does. */
static void use(struct mm *mm)
{
	unsigned long flags = local_irq_save();

	switch_mm(mm);
	local_irq_restore(flags);
}

static bool is_loaded(const struct mm *mm)
{
	return cpumask_test(&mm->tlb.cpus, smp_processor_id());
}

static struct tlb_flush pages(unsigned from, unsigned to)
{
	return (struct tlb_flush){
		.mm = area.mm,
		.start = ADDR + from * PAGE_SIZE,
		.end = ADDR + to * PAGE_SIZE,
	};
}

static bool concerned(bool freed_tables)
{
	struct tlb_flush f = pages(0, 1);
	cpumask_t cpus;
	bool any;

	f.freed_tables = freed_tables;
	any = tlb_cpus_concerned(&f, &cpus);
	BUG_ON(any != !!cpumask_weight(&cpus));
	return cpumask_test(&cpus, smp_processor_id());
}

static void expect_new(struct ktest *t, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		KEXPECT_EQ(t, read(i), 1);
	KEXPECT_EQ(t, tlb_followed_here(area.mm), READ_ONCE(area.mm->tlb.generation.v));
}

static void every_page_of_a_range(struct ktest *t)
{
	static const unsigned lengths[] = {1, 2, TLB_FLUSH_CEILING, TLB_FLUSH_CEILING + 1};

	setup();
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		start_over();
		map(1, 1 + lengths[k], 1);
		flush_tlb_range(area.mm, ADDR + PAGE_SIZE, ADDR + (1 + lengths[k]) * PAGE_SIZE);
		expect_new(t, 1, 1 + lengths[k]);
	}
	start_over();
	map(5, 6, 1);
	flush_tlb_page(area.mm, ADDR + 5 * PAGE_SIZE);
	expect_new(t, 5, 6);
	start_over();
	map(0, PAGES, 1);
	flush_tlb_mm(area.mm);
	expect_new(t, 0, PAGES);
	start_over();
	map(0, 1, 1);
	flush_tlb_tables(area.mm, ADDR, ADDR + PAGE_SIZE);
	expect_new(t, 0, 1);
	teardown();
}

/*
 * Cost: an invalidation of few pages leaves other translations alone. A CPU may drop them for
 * reasons of its own, but not each time: Xen switches vCPUs by the wall clock, which on a loaded
 * host has moved on at each look. So what lies between the read and the look is short.
 */
static void few_pages_are_invalidated_alone(struct ktest *t)
{
	bool kept = false;

	setup();
	for (unsigned attempt = 0; attempt < 100 && !kept; attempt++) {
		struct tlb_flush f = pages(0, TLB_FLUSH_CEILING);

		start_over();
		map(0, PAGES, 1);
		map(TLB_FLUSH_CEILING, PAGES, 0);
		read(TLB_FLUSH_CEILING);
		map(TLB_FLUSH_CEILING, PAGES, 1);
		tlb_flush_by_call(&f);
		kept = read(TLB_FLUSH_CEILING) == 0;
		expect_new(t, 0, TLB_FLUSH_CEILING);
	}
	KEXPECT(t, kept);
	teardown();
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
		setup();
		map(0, 1, 1);
		tlb_new_generation(area.mm);
		map(1, 2, 1);
		f = pages(1, 2);
		tlb_flush_by_call(&f);
		KEXPECT_EQ(t, read(1), 1);
		KEXPECT_EQ(t, f.generation - tlb_followed_here(area.mm), i ? 2 : 0);
		if (i) {
			use(NULL);
			use(area.mm);
		}
		expect_new(t, 0, 2);
		teardown();
	}
	tlb_flush_exact = exact;
}

/* No page of a range is left out, or taken for another's, where no whole flush helps. */
static void an_exact_range_is_exact(struct ktest *t)
{
	const bool exact = tlb_flush_exact;
	bool kept = false;

	tlb_flush_exact = true;
	setup();
	for (unsigned attempt = 0; attempt < 100 && !kept; attempt++) {
		struct tlb_flush f = pages(0, PAGES - 1);

		start_over();
		map(0, PAGES, 1);
		map(PAGES - 1, PAGES, 0);
		read(PAGES - 1);
		map(PAGES - 1, PAGES, 1);
		tlb_flush_by_call(&f);
		kept = read(PAGES - 1) == 0;
		expect_new(t, 0, PAGES - 1);
	}
	KEXPECT(t, kept);
	teardown();
	tlb_flush_exact = exact;
}

/* The same by the backend's own flush: this CPU has followed the other's only if it knows. */
static void an_earlier_change_is_not_claimed(struct ktest *t)
{
	setup();
	for (unsigned n = 1; n < 4; n += 2) {
		start_over();
		map(0, 1, 1);
		tlb_new_generation(area.mm);
		map(1, 1 + n, 1);
		flush_tlb_range(area.mm, ADDR + PAGE_SIZE, ADDR + (1 + n) * PAGE_SIZE);
		if (tlb_followed_here(area.mm) == READ_ONCE(area.mm->tlb.generation.v))
			KEXPECT_EQ(t, read(0), 1);
		use(NULL);
		use(area.mm);
		expect_new(t, 0, 1 + n);
	}
	teardown();
}

static void an_idle_cpu_catches_up(struct ktest *t)
{
	u64 caught_up;

	setup();
	KEXPECT(t, concerned(false) && concerned(true));
	use(NULL);
	KEXPECT(t, is_loaded(area.mm) && !concerned(false) && concerned(true));
	map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	KEXPECT(t, is_loaded(area.mm));
	caught_up = counter_sum(CNT_TLB_GENERATION_FLUSHES);
	use(area.mm);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_GENERATION_FLUSHES), caught_up + 1);
	expect_new(t, 0, 1);
	KEXPECT(t, concerned(false));
	use(NULL);
	use(area.mm);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_GENERATION_FLUSHES), caught_up + 1);
	teardown();
}

/* What one section owes to two address spaces. */
static void two_are_owed(struct ktest *t) __no_thread_safety
{
	struct mm *other = mm_alloc();
	struct spinlock *ptl;
	lazy_mmu_state_t s;
	u64 before[2];

	BUG_ON(!other);
	setup();
	before[0] = READ_ONCE(area.mm->tlb.generation.v);
	before[1] = READ_ONCE(other->tlb.generation.v);
	pte_offset_map_lock(pmd_find(area.mm, ADDR), ADDR, &ptl);
	s = arch_enter_lazy_mmu_mode();
	map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	flush_tlb_page(other, ADDR);
	arch_leave_lazy_mmu_mode(s);
	pte_unmap_unlock(area.ptep, ptl);
	KEXPECT_EQ(t, READ_ONCE(area.mm->tlb.generation.v), before[0] + 1);
	KEXPECT_EQ(t, READ_ONCE(other->tlb.generation.v), before[1] + 1);
	expect_new(t, 0, 1);
	teardown();
	mm_put(other);
}

/* One update and one page to invalidate: where a backend has one call for both, of one page only.
 */
static void the_update_is_of_another_page(struct ktest *t) __no_thread_safety
{
	struct spinlock *ptl;
	lazy_mmu_state_t s;

	setup();
	pv_set_pte(area.ptep + 5, (pte_t){0});
	flush_tlb_page(area.mm, ADDR + 5 * PAGE_SIZE);
	pte_offset_map_lock(pmd_find(area.mm, ADDR), ADDR, &ptl);
	s = arch_enter_lazy_mmu_mode();
	map(5, 6, 1);
	flush_tlb_page(area.mm, ADDR + PAGE_SIZE);
	arch_leave_lazy_mmu_mode(s);
	pte_unmap_unlock(area.ptep, ptl);
	KEXPECT_EQ(t, pte_pfn(ptep_get(area.ptep + 1)).v, page_to_pfn(area.page[0]).v);
	KEXPECT_EQ(t, pte_pfn(ptep_get(area.ptep + 5)).v, page_to_pfn(area.page[1]).v);
	expect_new(t, 5, 6);
	teardown();
}

static void another_mm_comes_between(struct ktest *t)
{
	struct mm *other = mm_alloc();
	u64 followed;

	BUG_ON(!other);
	setup();
	use(other);
	KEXPECT(t, is_loaded(other) && !is_loaded(area.mm) && !concerned(true));
	followed = tlb_followed_here(other);
	KEXPECT(t, followed && !tlb_followed_here(area.mm));
	tlb_follow_here(area.mm, followed + 1);
	KEXPECT_EQ(t, tlb_followed_here(other), followed);
	tlb_follow_here(other, followed + 1);
	KEXPECT_EQ(t, tlb_followed_here(other), followed + 1);
	map(0, 1, 1);
	flush_tlb_page(area.mm, ADDR);
	use(area.mm);
	KEXPECT(t, is_loaded(area.mm) && !is_loaded(other) && concerned(false));
	expect_new(t, 0, 1);
	teardown();
	mm_put(other);
}

/* A CPU that has tables loaded without using them may walk them all the same. */
static void freed_tables_are_left(struct ktest *t)
{
	struct tlb_flush f;

	setup();
	use(NULL);
	f = pages(0, 1);
	tlb_flush_by_call(&f);
	KEXPECT(t, is_loaded(area.mm));
	f.freed_tables = true;
	tlb_flush_by_call(&f);
	KEXPECT(t, !is_loaded(area.mm));
	use(area.mm);
	KEXPECT(t, concerned(false));
	tlb_flush_by_call(&f);
	KEXPECT(t, is_loaded(area.mm));
	teardown();
}

/* The same for tables that are unlinked; on Xen its flush is enough. */
static void unlinked_tables_are_left(struct ktest *t)
{
	unsigned long addr = ADDR + PGD_SIZE;
	u64 flushes;

	setup();
	preempt_enable();
	test_pte_page(area.mm, addr);
	preempt_disable();
	use(NULL);
	flushes = counter_sum(CNT_TLB_FLUSHES);
	test_free_tables(area.mm, addr, addr + PAGE_SIZE);
	KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES), flushes + 1);
	if (pv_ops.mmu.flush_tlb == tlb_flush_by_call)
		KEXPECT(t, !is_loaded(area.mm));
	use(area.mm);
	teardown();
}

/* --- the flusher at each boundary of a switch --- */

static struct {
	unsigned boundary, target;
	const struct mm *away; /* NULL: none */
	bool concerned, unknown;
} flusher;

/* Where the CPU walks @mm's own tables, as the backend says, it must be known to use them. */
static bool walks_unknown(const struct mm *mm)
{
	return (read_cr3() & PAGE_MASK) == virt_to_pfn(mm->pgd).v << PAGE_SHIFT && !is_loaded(mm);
}

/* What another CPU does up to its cross-call. */
static void flush_at_target(struct pt_regs *regs __unused)
{
	flusher.unknown |= walks_unknown(area.mm) || (flusher.away && walks_unknown(flusher.away));
	if (flusher.boundary++ != flusher.target)
		return;
	map(0, 1, 1);
	tlb_new_generation(area.mm);
	flusher.concerned = concerned(false);
}

/* False if the switch from @away has no such boundary. */
static bool switch_at_boundary(struct ktest *t, struct mm *away, unsigned target)
{
	start_over();
	use(away);
	flusher = (typeof(flusher)){.target = target, .away = away};
	local_irq_disable();
	step_begin();
	switch_mm(area.mm);
	step_end();
	local_irq_enable();
	if (flusher.boundary <= target)
		return false;
	if (flusher.concerned)
		pv_flush_tlb_one(ADDR); /* the call comes when interrupts are on again */
	else
		expect_new(t, 0, 1);
	KEXPECT_EQ(t, read(0), 1);
	KEXPECT(t, concerned(false) && !flusher.unknown);
	return true;
}

static void at_every_boundary(struct ktest *t, struct mm *away)
{
	unsigned target = 0;

	setup();
	set_step_hook(flush_at_target);
	while (switch_at_boundary(t, away, target) && !t->failures)
		target++;
	set_step_hook(NULL);
	KEXPECT(t, target > 10);
	teardown();
}

static void changes_while_idle_ends(struct ktest *t)
{
	at_every_boundary(t, NULL);
}

static void changes_while_it_is_loaded(struct ktest *t)
{
	struct mm *other = mm_alloc();

	BUG_ON(!other);
	at_every_boundary(t, other);
	mm_put(other);
}

/* --- another flusher, who is as far as its generation, at each boundary of the first --- */

static void another_flusher_at_target(struct pt_regs *regs __unused)
{
	if (flusher.boundary++ != flusher.target)
		return;
	map(PAGES - 1, PAGES, 1);
	tlb_new_generation(area.mm);
}

/* This CPU may claim to have followed the other only if it has forgotten the other's entry, too. */
static bool another_at_boundary(struct ktest *t, unsigned nr_pages, unsigned target)
{
	start_over();
	map(0, nr_pages, 1);
	flusher = (typeof(flusher)){.target = target};
	step_begin();
	flush_tlb_range(area.mm, ADDR, ADDR + nr_pages * PAGE_SIZE);
	step_end();
	if (flusher.boundary <= target)
		return false;
	if (tlb_followed_here(area.mm) == READ_ONCE(area.mm->tlb.generation.v))
		KEXPECT_EQ(t, read(PAGES - 1), 1);
	use(NULL);
	use(area.mm);
	expect_new(t, PAGES - 1, PAGES);
	expect_new(t, 0, nr_pages);
	return true;
}

static void others_advance_meanwhile(struct ktest *t)
{
	static const unsigned lengths[] = {1, 3, TLB_FLUSH_CEILING + 1};

	setup();
	set_step_hook(another_flusher_at_target);
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		unsigned target = 0;

		while (another_at_boundary(t, lengths[k], target) && !t->failures)
			target++;
		KEXPECT(t, target > 20);
	}
	set_step_hook(NULL);
	teardown();
}

/* --- a CPU that comes at each boundary of the flusher --- */

/* It has the mm loaded without using it, its TLB knows an entry that changes, and it comes back. */
static struct {
	struct task *task;
	enum wish { COMER_KNOWS_AND_IDLES, COMER_COMES, COMER_LOOKS, COMER_ENDS } wish;
	u32 asked, done;
	u32 found;
	bool ready;
} comer;

static void comer_main(void *unused __unused)
{
	enum wish wish;

	while (smp_processor_id() != 1)
		let_others_run();
	preempt_disable(); /* a switch would end its use of the mm */
	smp_store_release(&comer.ready, true);
	do {
		while (smp_load_acquire(&comer.asked) == comer.done)
			cpu_relax();
		wish = comer.wish;
		/* What others have invalidated here this CPU follows when it comes back. */
		if (wish == COMER_KNOWS_AND_IDLES)
			use(NULL);
		if (wish != COMER_LOOKS)
			use(area.mm);
		if (wish != COMER_COMES)
			comer.found = read(0);
		if (wish == COMER_KNOWS_AND_IDLES || wish == COMER_ENDS)
			use(NULL);
		smp_store_release(&comer.done, comer.done + 1);
	} while (wish != COMER_ENDS);
	preempt_enable();
}

static void ask_comer(enum wish wish)
{
	comer.wish = wish;
	smp_store_release(&comer.asked, comer.asked + 1);
	while (smp_load_acquire(&comer.done) != comer.asked)
		cpu_relax();
}

static void come_at_target(struct pt_regs *regs __unused)
{
	if (flusher.boundary++ == flusher.target)
		ask_comer(COMER_COMES);
}

static bool come_at_boundary(struct ktest *t, unsigned target)
{
	start_over();
	ask_comer(COMER_KNOWS_AND_IDLES);
	map(0, 1, 1);
	flusher.boundary = 0;
	flusher.target = target;
	step_begin();
	flush_tlb_page(area.mm, ADDR);
	step_end();
	if (flusher.boundary <= target)
		return false;
	ask_comer(COMER_LOOKS);
	KEXPECT_EQ(t, comer.found, 1);
	return true;
}

/* A backend that looks at the CPUs before its updates must have found some that came later. */
static void expect_latecomers(struct ktest *t, u64 before)
{
	if (pv_ops.mmu.flush_tlb != tlb_flush_by_call)
		KEXPECT(t, counter_sum(CNT_LATE_FLUSHES) - before > 5);
}

static void a_cpu_comes_during_a_flush(struct ktest *t)
{
	const cpumask_t everywhere = cpu_online_mask, here = cpumask_of(0), there = cpumask_of(1);
	const unsigned tasks = task_count();
	const u64 late = counter_sum(CNT_LATE_FLUSHES);
	unsigned target = 0;

	if (cpumask_weight(&cpu_online_mask) == 1) {
		ktest_skip(t, "one CPU: nobody else comes");
		return;
	}
	BUG_ON(sched_setaffinity(current, &here));
	comer.asked = comer.done = 0;
	comer.wish = COMER_KNOWS_AND_IDLES;
	comer.ready = false;
	comer.task = kthread_run("comer", comer_main, NULL);
	BUG_ON(sched_setaffinity(comer.task, &there));
	while (!smp_load_acquire(&comer.ready))
		let_others_run();
	setup();
	set_step_hook(come_at_target);
	while (come_at_boundary(t, target) && !t->failures)
		target++;
	set_step_hook(NULL);
	KEXPECT(t, target > 20);
	expect_latecomers(t, late);
	ask_comer(COMER_ENDS);
	teardown();
	BUG_ON(sched_setaffinity(current, &everywhere));
	await_tasks(tasks);
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
	{"changes_while_idle_ends", changes_while_idle_ends},
	{"changes_while_it_is_loaded", changes_while_it_is_loaded},
	{"others_advance_meanwhile", others_advance_meanwhile},
	{"a_cpu_comes_during_a_flush", a_cpu_comes_during_a_flush},
};
KTEST_SUITE(tlb_suite, "tlb", "which CPUs an invalidation concerns", true, cases);
