/*
 * Suite `lazy_mmu`: the semantics of the lazy section, case by case (mm/lazy/lazy_mmu.h lists
 * them), the order of calls of Linux 7's KUnit test among them.
 *
 * Oracle: after each call the mode, the depth, and whether an update is in the table are compared
 * with what the contract says. On a backend that queues updates (deferred) an update inside a
 * section must not be in the table; on all backends it must be there after any leave, pause or
 * context switch. The invalidation that a section owes stands for the update on backends that store
 * at once.
 *
 * Not analysed: setup() takes the lock that teardown() gives back, and cases leave in other orders
 * than they entered.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/sched.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL

/* One PTE page, locked, in a borrowed mm. The cases are serial, so one is enough. */
static struct {
	struct mm *mm;
	struct spinlock *ptl;
	pte_t *ptep;
} page;

static void setup(void) __no_thread_safety
{
	page.mm = test_mm_enter();
	page.ptep = pte_offset_map_lock(test_pte_page(page.mm, ADDR), ADDR, &page.ptl);
}

static void teardown(void) __no_thread_safety
{
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		pv_set_pte(page.ptep + i, (pte_t){0});
	pte_unmap_unlock(page.ptep, page.ptl);
	test_free_tables(page.mm, ADDR, ADDR + PAGE_SIZE);
	test_mm_leave(page.mm);
}

static bool backend_queues(void)
{
	return pv_queues_updates && lazy_mmu_enabled;
}

static pte_t value(unsigned n)
{
	return test_value(n);
}

static void set(unsigned i, unsigned n) __no_thread_safety
{
	set_pte_at(page.mm, ADDR + i * PAGE_SIZE, page.ptep + i, value(n));
	flush_tlb_page(page.mm, ADDR + i * PAGE_SIZE);
}

static bool in_table(unsigned i, unsigned n)
{
	return READ_ONCE(page.ptep[i].v) == value(n).v;
}

/* What was just set must be queued if a section is active, else be effective. */
static void expect_set(struct ktest *t, unsigned i, unsigned n, bool lazy)
{
	bool queued = lazy && lazy_mmu_enabled;

	set(i, n);
	KEXPECT_EQ(t, is_lazy_mmu_mode_active(), queued);
	KEXPECT_EQ(t, in_table(i, n), !(queued && backend_queues()));
	KEXPECT_EQ(t, batch_is_empty(), !queued);
}

static void expect_effective(struct ktest *t, unsigned i, unsigned n)
{
	KEXPECT(t, in_table(i, n));
	KEXPECT(t, batch_is_empty());
}

static void expect_active(struct ktest *t, bool active)
{
	KEXPECT_EQ(t, is_lazy_mmu_mode_active(), active && lazy_mmu_enabled);
}

static void linux_kunit_order(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t outer, inner;

	setup();
	expect_active(t, false);
	outer = arch_enter_lazy_mmu_mode();
	expect_active(t, true);

	inner = arch_enter_lazy_mmu_mode();
	expect_active(t, true);
	arch_leave_lazy_mmu_mode(inner);
	expect_active(t, true);

	lazy_mmu_mode_pause();
	expect_active(t, false);
	inner = arch_enter_lazy_mmu_mode();
	expect_active(t, false);
	arch_leave_lazy_mmu_mode(inner);
	expect_active(t, false);
	lazy_mmu_mode_pause();
	expect_active(t, false);
	lazy_mmu_mode_resume();
	expect_active(t, false);
	lazy_mmu_mode_resume();
	expect_active(t, true);

	arch_leave_lazy_mmu_mode(outer);
	expect_active(t, false);
	KEXPECT_EQ(t, current->lazy_mmu, 0);
	teardown();
}

static void outermost_section_batches(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;

	setup();
	expect_set(t, 0, 1, false);
	s = arch_enter_lazy_mmu_mode();
	expect_set(t, 1, 2, true);
	expect_set(t, 2, 3, true);
	arch_leave_lazy_mmu_mode(s);
	expect_effective(t, 1, 2);
	expect_effective(t, 2, 3);
	expect_set(t, 3, 4, false);
	teardown();
}

/* However many pages a section invalidates, it does so once. */
static void one_invalidation_a_section(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;
	u64 flushes;

	setup();
	flushes = counter_sum(CNT_TLB_FLUSHES);
	preempt_disable(); /* a switch would pay what is owed so far */
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < 20; i++)
		set(i, i);
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES) - flushes, lazy_mmu_enabled ? 1 : 20);
	teardown();
}

static void nested_leave_flushes_and_stays(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t a, b, c;

	setup();
	a = arch_enter_lazy_mmu_mode();
	expect_set(t, 0, 1, true);
	b = arch_enter_lazy_mmu_mode();
	c = arch_enter_lazy_mmu_mode();
	KEXPECT(t, a.opaque != b.opaque && b.opaque == c.opaque);
	expect_set(t, 1, 2, true);
	arch_leave_lazy_mmu_mode(c);
	expect_effective(t, 0, 1);
	expect_effective(t, 1, 2);
	expect_set(t, 2, 3, true);
	arch_leave_lazy_mmu_mode(b);
	expect_effective(t, 2, 3);
	expect_set(t, 3, 4, true);
	arch_leave_lazy_mmu_mode(a);
	expect_effective(t, 3, 4);
	expect_active(t, false);
	teardown();
}

static void default_ends_at_any_depth(struct ktest *t) __no_thread_safety
{
	setup();
	for (unsigned depth = 1; depth <= 5; depth++) {
		for (unsigned i = 0; i < depth; i++)
			arch_enter_lazy_mmu_mode();
		expect_set(t, 0, depth, true);
		arch_leave_lazy_mmu_mode(LAZY_MMU_DEFAULT);
		expect_effective(t, 0, depth);
		expect_active(t, false);
		KEXPECT_EQ(t, current->lazy_mmu, 0);
	}
	teardown();
}

static void pause_ends_and_resume_restores(struct ktest *t) __no_thread_safety
{
	setup();
	for (unsigned depth = 0; depth <= 4; depth++) {
		lazy_mmu_word_t before;

		for (unsigned i = 0; i < depth; i++)
			arch_enter_lazy_mmu_mode();
		before = current->lazy_mmu;
		expect_set(t, 0, 10 + depth, depth > 0);
		lazy_mmu_mode_pause();
		expect_effective(t, 0, 10 + depth);
		expect_set(t, 1, 20 + depth, false);
		lazy_mmu_mode_resume();
		KEXPECT_EQ(t, current->lazy_mmu, before);
		expect_set(t, 2, 30 + depth, depth > 0);
		if (depth)
			arch_leave_lazy_mmu_mode(LAZY_MMU_DEFAULT);
		expect_effective(t, 2, 30 + depth);
	}
	teardown();
}

static void inside_a_pause_nothing_changes(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t outer, a, b;
	lazy_mmu_word_t before;

	setup();
	outer = arch_enter_lazy_mmu_mode();
	arch_enter_lazy_mmu_mode();
	before = current->lazy_mmu;
	lazy_mmu_mode_pause();
	a = arch_enter_lazy_mmu_mode();
	b = arch_enter_lazy_mmu_mode();
	KEXPECT(t, a.opaque == LAZY_MMU_DEFAULT.opaque && b.opaque == LAZY_MMU_NESTED.opaque);
	expect_set(t, 0, 1, false);
	lazy_mmu_mode_pause();
	expect_set(t, 0, 2, false);
	lazy_mmu_mode_resume();
	arch_leave_lazy_mmu_mode(b);
	expect_set(t, 0, 3, false);
	arch_leave_lazy_mmu_mode(a);
	a = arch_enter_lazy_mmu_mode();
	arch_enter_lazy_mmu_mode();
	arch_leave_lazy_mmu_mode(LAZY_MMU_DEFAULT); /* of the pause's sections only */
	expect_set(t, 0, 4, false);
	lazy_mmu_mode_resume();
	KEXPECT_EQ(t, current->lazy_mmu, before);
	expect_set(t, 0, 5, true);
	arch_leave_lazy_mmu_mode(outer);
	expect_effective(t, 0, 5);
	teardown();
}

static void flush_stays_lazy(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;

	setup();
	s = arch_enter_lazy_mmu_mode();
	expect_set(t, 0, 1, true);
	arch_flush_lazy_mmu_mode();
	expect_effective(t, 0, 1);
	expect_set(t, 1, 2, true);
	arch_leave_lazy_mmu_mode(s);
	teardown();
}

/* --- interrupts --- */

static struct {
	bool done, active;
	lazy_mmu_word_t before, after;
	const struct task *task;
} seen;

/* In a timer interrupt on top of the section: every call, none of which may do anything. */
static void in_interrupt_hook(const struct pt_regs *regs __unused) __no_thread_safety
{
	lazy_mmu_state_t s;

	if (seen.done || current != seen.task)
		return;
	seen.active = is_lazy_mmu_mode_active();
	seen.before = current->lazy_mmu;
	s = arch_enter_lazy_mmu_mode();
	seen.active |= is_lazy_mmu_mode_active();
	arch_flush_lazy_mmu_mode();
	lazy_mmu_mode_pause();
	lazy_mmu_mode_resume();
	arch_leave_lazy_mmu_mode(s);
	arch_leave_lazy_mmu_mode(LAZY_MMU_DEFAULT);
	seen.after = current->lazy_mmu;
	smp_store_release(&seen.done, true);
}

static void interrupts_do_nothing(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;

	setup();
	seen.done = false;
	seen.task = current;
	s = arch_enter_lazy_mmu_mode();
	preempt_disable(); /* the queue must still hold the update afterwards */
	expect_set(t, 0, 1, true);
	set_timer_hook(in_interrupt_hook);
	pv_set_timer(1000);
	while (!smp_load_acquire(&seen.done))
		cpu_relax();
	set_timer_hook(NULL);
	KEXPECT(t, !seen.active);
	KEXPECT_EQ(t, seen.before, seen.after);
	KEXPECT_EQ(t, current->lazy_mmu, seen.before);
	KEXPECT_EQ(t, batch_is_empty(), !lazy_mmu_enabled);
	preempt_enable();
	arch_leave_lazy_mmu_mode(s);
	expect_effective(t, 0, 1);
	teardown();
}

/* --- context switches --- */

static void switch_flushes(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;

	setup();
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < 20; i++) {
		expect_set(t, i, i, true);
		sched_yield_in_lock();
		expect_effective(t, i, i);
		expect_active(t, true);
	}
	arch_leave_lazy_mmu_mode(s);
	teardown();
}

static void migration_keeps_the_mode(struct ktest *t) __no_thread_safety
{
	unsigned cpus = cpumask_weight(&cpu_online_mask), moved = 0;
	lazy_mmu_state_t s;

	if (cpus == 1) {
		ktest_skip(t, "one CPU: nowhere to go");
		return;
	}
	setup();
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < 4 * cpus; i++) {
		unsigned from = smp_processor_id();

		expect_set(t, i % PTRS_PER_TABLE, i, true);
		current->migrate_to = (from + 1) % cpus;
		sched_yield_in_lock();
		moved += smp_processor_id() != from;
		expect_effective(t, i % PTRS_PER_TABLE, i);
		expect_active(t, true);
	}
	arch_leave_lazy_mmu_mode(s);
	expect_active(t, false);
	KEXPECT(t, moved > 0);
	teardown();
}

/* --- the queue --- */

static void capacity_and_order(struct ktest *t) __no_thread_safety
{
	static const unsigned sizes[] = {1, 2, 31, 32, BATCH_CAPACITY - 1, BATCH_CAPACITY};

	setup();
	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		u64 batches = counter_sum(CNT_BATCHES);
		lazy_mmu_state_t s;

		preempt_disable(); /* a switch would split the batch */
		s = arch_enter_lazy_mmu_mode();
		for (unsigned i = 0; i < sizes[k]; i++)
			set_pte_at(page.mm, ADDR, page.ptep + i, value(1000 * k + i));
		arch_leave_lazy_mmu_mode(s);
		preempt_enable();
		for (unsigned i = 0; i < sizes[k]; i++)
			KEXPECT(t, in_table(i, 1000 * k + i));
		if (backend_queues())
			KEXPECT_EQ(t, counter_sum(CNT_BATCHES), batches + 1);
	}
	teardown();
}

/* One more than fits: two batches, in order. */
static void overflow_issues_early(struct ktest *t) __no_thread_safety
{
	u64 batches = counter_sum(CNT_BATCHES);
	struct page *second;
	lazy_mmu_state_t s;
	pte_t *more;

	if (!backend_queues()) {
		ktest_skip(t, "this backend does not queue updates");
		return;
	}
	setup();
	second = table_alloc(page.mm, 1);
	more = page_to_virt(second);
	preempt_disable();
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < BATCH_CAPACITY; i++)
		set_pte_at(page.mm, ADDR, page.ptep + i, value(i));
	KEXPECT(t, !in_table(0, 0));
	pv_set_pte(more, value(7));
	KEXPECT(t, in_table(0, 0) && in_table(BATCH_CAPACITY - 1, BATCH_CAPACITY - 1));
	KEXPECT(t, batch_is_pending(more) && pte_none(*(volatile pte_t *)more));
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	KEXPECT_EQ(t, more->v, value(7).v);
	KEXPECT_EQ(t, counter_sum(CNT_BATCHES), batches + 2);
	pv_set_pte(more, (pte_t){0});
	table_free(second);
	teardown();
}

static void coalescing_keeps_the_last(struct ktest *t) __no_thread_safety
{
	struct batch *b;
	lazy_mmu_state_t s;

	if (!backend_queues()) {
		ktest_skip(t, "this backend does not queue updates");
		return;
	}
	setup();
	preempt_disable();
	b = this_cpu_ptr(this_batch);
	s = arch_enter_lazy_mmu_mode();
	for (unsigned n = 0; n < 100; n++)
		for (unsigned i = 0; i < 5; i++)
			set_pte_at(page.mm, ADDR, page.ptep + i * 97, value(n * 10 + i));
	set_pte_at(page.mm, ADDR, page.ptep, (pte_t){0});
	set_pte_at(page.mm, ADDR, page.ptep, value(5));
	KEXPECT_EQ(t, b->n, 5);
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	KEXPECT(t, in_table(0, 5));
	for (unsigned i = 1; i < 5; i++)
		KEXPECT(t, in_table(i * 97, 990 + i));
	teardown();
}

static struct page *map_page(unsigned i) __no_thread_safety
{
	struct page *p = alloc_page_zeroed(PAGE_USER);

	BUG_ON(!p);
	set_pte_at(page.mm, ADDR + i * PAGE_SIZE, page.ptep + i,
		   mk_pte(p, vm_page_prot(VM_READ | VM_WRITE)));
	return p;
}

static void unmap_page(unsigned i, struct page *p)
{
	pv_set_pte(page.ptep + i, (pte_t){0});
	flush_tlb_page(page.mm, ADDR + i * PAGE_SIZE);
	put_page(p);
}

/*
 * The CPU sets D in entry @i, by a store through it, where an update of it is still queued; where
 * updates are effective at once there is nothing left to be lost.
 */
static void dirty_meanwhile(struct ktest *t, unsigned i)
{
	if (backend_queues())
		KEXPECT_EQ(t, put_user32(ADDR + i * PAGE_SIZE, 1), 0);
}

/* What the CPU sets in an entry between the call that changes it and the leave is not lost. */
static void clear_and_harvest(struct ktest *t) __no_thread_safety
{
	struct page *cleared, *narrowed;
	lazy_mmu_state_t s;
	pte_t old;

	setup();
	cleared = map_page(0);
	narrowed = map_page(1);
	s = arch_enter_lazy_mmu_mode();
	preempt_disable();
	old = ptep_get_and_clear(page.mm, ADDR, page.ptep);
	KEXPECT(t, pte_write(old) && !pte_dirty(old));
	dirty_meanwhile(t, 0);
	old = page.ptep[1];
	ptep_modify_prot_commit(page.mm, ADDR + PAGE_SIZE, page.ptep + 1, pte_wrprotect(old));
	dirty_meanwhile(t, 1);
	preempt_enable();
	flush_tlb_range(page.mm, ADDR, ADDR + 2 * PAGE_SIZE);
	arch_leave_lazy_mmu_mode(s);
	KEXPECT(t, pte_none(page.ptep[0]));
	KEXPECT_EQ(t, pte_dirty(ptep_harvest(page.ptep)), backend_queues());
	KEXPECT(t, pte_present(page.ptep[1]) && !pte_write(page.ptep[1]));
	KEXPECT_EQ(t, pte_dirty(page.ptep[1]), backend_queues());
	unmap_page(0, cleared);
	unmap_page(1, narrowed);
	teardown();
}

/* What the CPU sets between the read of an entry and the call that changes it, neither. */
static void dirty_before_commit(struct ktest *t) __no_thread_safety
{
	struct page *p[2];
	pte_t new[2];

	setup();
	for (unsigned i = 0; i < 2; i++) {
		p[i] = map_page(i);
		new[i] = pte_wrprotect(ptep_get(page.ptep + i));
	}
	KEXPECT_EQ(t, put_user32(ADDR + PAGE_SIZE, 1), 0);
	modify_prot_commit_ptes(page.mm, ADDR, page.ptep, new, 2);
	flush_tlb_range(page.mm, ADDR, ADDR + 2 * PAGE_SIZE);
	KEXPECT(t, !pte_write(page.ptep[0]) && !pte_dirty(page.ptep[0]));
	KEXPECT(t, !pte_write(page.ptep[1]) && pte_dirty(page.ptep[1]));
	for (unsigned i = 0; i < 2; i++)
		unmap_page(i, p[i]);
	teardown();
}

static const struct ktest_case cases[] = {
	{"linux_kunit_order", linux_kunit_order},
	{"outermost_section_batches", outermost_section_batches},
	{"one_invalidation_a_section", one_invalidation_a_section},
	{"nested_leave_flushes_and_stays", nested_leave_flushes_and_stays},
	{"default_ends_at_any_depth", default_ends_at_any_depth},
	{"pause_ends_and_resume_restores", pause_ends_and_resume_restores},
	{"inside_a_pause_nothing_changes", inside_a_pause_nothing_changes},
	{"flush_stays_lazy", flush_stays_lazy},
	{"interrupts_do_nothing", interrupts_do_nothing},
	{"switch_flushes", switch_flushes},
	{"migration_keeps_the_mode", migration_keeps_the_mode},
	{"capacity_and_order", capacity_and_order},
	{"overflow_issues_early", overflow_issues_early},
	{"coalescing_keeps_the_last", coalescing_keeps_the_last},
	{"clear_and_harvest", clear_and_harvest},
	{"dirty_before_commit", dirty_before_commit},
};
KTEST_SUITE(lazy_mmu_suite, "lazy_mmu", "the semantics of lazy sections", true, cases);
