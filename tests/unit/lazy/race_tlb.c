/*
 * Suite `race-tlb`: a switch, a flusher, and whoever comes at each instruction boundary of them.
 *
 * Oracle: a flusher that is played at each boundary of a switch sees the CPU, or the CPU its
 * generation; what a CPU says that it has followed is never more than that, whoever advances the
 * generation meanwhile; and a CPU that begins to use the address space in the middle of a flush
 * does not keep the old entry. One that uses it all the time is reached by each flush, whether this
 * CPU uses it or not, and by a call or hypercall that others make only then.
 */
#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/sched/sched.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/tlb_area.h"

/* --- the flusher at each boundary of a switch --- */

static struct {
	unsigned boundary, target;
	const struct mm *away; /* NULL: none */
	bool concerned, unknown;
} flusher;

/* Where the CPU walks @mm's own tables, as the backend says, it must be known to use them. */
static bool walks_unknown(const struct mm *mm)
{
	return (read_cr3() & PAGE_MASK) == virt_to_pfn(mm->pgd).v << PAGE_SHIFT &&
	       !area_is_loaded(mm);
}

/* What another CPU does up to its cross-call. */
static void flush_at_target(struct pt_regs *regs __unused)
{
	flusher.unknown |= walks_unknown(area.mm) || (flusher.away && walks_unknown(flusher.away));
	if (flusher.boundary++ != flusher.target)
		return;
	area_map(0, 1, 1);
	tlb_new_generation(area.mm);
	flusher.concerned = area_concerned(false);
}

/* False if the switch from @away has no such boundary. */
static bool switch_at_boundary(struct ktest *t, struct mm *away, unsigned target)
{
	area_start_over();
	area_use(away);
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
		area_expect_new(t, 0, 1);
	KEXPECT_EQ(t, area_read(0), 1);
	KEXPECT(t, area_concerned(false) && !flusher.unknown);
	return true;
}

static void at_every_boundary(struct ktest *t, struct mm *away)
{
	unsigned target = 0;

	area_setup();
	set_step_hook(flush_at_target);
	while (switch_at_boundary(t, away, target) && !t->failures)
		target++;
	set_step_hook(NULL);
	KEXPECT(t, target > 10);
	area_teardown();
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
	area_map(PAGES - 1, PAGES, 1);
	tlb_new_generation(area.mm);
}

/* This CPU may claim to have followed the other only if it has forgotten the other's entry, too. */
static bool another_at_boundary(struct ktest *t, unsigned nr_pages, unsigned target)
{
	area_start_over();
	area_map(0, nr_pages, 1);
	flusher = (typeof(flusher)){.target = target};
	step_begin();
	flush_tlb_range(area.mm, ADDR, ADDR + nr_pages * PAGE_SIZE);
	step_end();
	if (flusher.boundary <= target)
		return false;
	if (tlb_followed_here(area.mm) == READ_ONCE(area.mm->tlb.generation.v))
		KEXPECT_EQ(t, area_read(PAGES - 1), 1);
	area_use(NULL);
	area_use(area.mm);
	area_expect_new(t, PAGES - 1, PAGES);
	area_expect_new(t, 0, nr_pages);
	return true;
}

static void others_advance_meanwhile(struct ktest *t)
{
	static const unsigned lengths[] = {1, 3, TLB_FLUSH_CEILING + 1};

	area_setup();
	set_step_hook(another_flusher_at_target);
	for (unsigned k = 0; k < ARRAY_SIZE(lengths); k++) {
		unsigned target = 0;

		while (another_at_boundary(t, lengths[k], target) && !t->failures)
			target++;
		KEXPECT(t, target > 20);
	}
	set_step_hook(NULL);
	area_teardown();
}

/* --- a CPU that comes at each boundary of the flusher --- */

/* It has the mm loaded without using it, its TLB knows an entry that changes, and it comes back. */
static struct {
	struct task *task;
	enum wish { COMER_KNOWS_AND_IDLES, COMER_COMES, COMER_LOOKS, COMER_ENDS } wish;
	u32 asked, done;
	u32 found;
	bool ready;
	unsigned tasks; /* without it */
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
			area_use(NULL);
		if (wish != COMER_LOOKS)
			area_use(area.mm);
		if (wish != COMER_COMES)
			comer.found = area_read(0);
		if (wish == COMER_KNOWS_AND_IDLES || wish == COMER_ENDS)
			area_use(NULL);
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
	area_start_over();
	ask_comer(COMER_KNOWS_AND_IDLES);
	area_map(0, 1, 1);
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

/* The comer is on CPU 1, and this task on CPU 0 in the address space. False: there is one CPU. */
static bool begin_comer(struct ktest *t)
{
	const cpumask_t here = cpumask_of(0), there = cpumask_of(1);

	if (cpumask_weight(&cpu_online_mask) == 1) {
		ktest_skip(t, "one CPU: nobody else comes");
		return false;
	}
	BUG_ON(sched_setaffinity(current, &here));
	comer.tasks = task_count();
	comer.asked = comer.done = 0;
	comer.wish = COMER_KNOWS_AND_IDLES;
	comer.ready = false;
	comer.task = kthread_run("comer", comer_main, NULL);
	BUG_ON(sched_setaffinity(comer.task, &there));
	while (!smp_load_acquire(&comer.ready))
		let_others_run();
	area_setup();
	return true;
}

static void end_comer(void)
{
	const cpumask_t everywhere = cpu_online_mask;

	ask_comer(COMER_ENDS);
	area_teardown();
	BUG_ON(sched_setaffinity(current, &everywhere));
	await_tasks(comer.tasks);
}

static void a_cpu_comes_during_a_flush(struct ktest *t)
{
	const u64 late = counter_sum(CNT_LATE_FLUSHES);
	unsigned target = 0;

	if (!begin_comer(t))
		return;
	set_step_hook(come_at_target);
	while (come_at_boundary(t, target) && !t->failures)
		target++;
	set_step_hook(NULL);
	KEXPECT(t, target > 20);
	expect_latecomers(t, late);
	end_comer();
}

/* --- whom a flush reaches: each CPU that uses the mm, and no other is troubled --- */

static void flush_with_users(struct ktest *t, unsigned nr_pages, bool here, bool there)
{
	u64 shootdowns;

	area_use(area.mm);
	area_start_over();
	ask_comer(COMER_KNOWS_AND_IDLES);
	if (there)
		ask_comer(COMER_COMES);
	if (!here)
		area_use(NULL);
	shootdowns = counter_sum(CNT_SHOOTDOWNS);
	area_map(0, nr_pages, 1);
	flush_tlb_range(area.mm, ADDR, ADDR + nr_pages * PAGE_SIZE);
	KEXPECT_EQ(t, counter_sum(CNT_SHOOTDOWNS) - shootdowns, there);
	if (there) {
		ask_comer(COMER_LOOKS);
		KEXPECT_EQ(t, comer.found, 1);
	}
	area_use(area.mm);
	KEXPECT_EQ(t, area_read(0), 1);
}

static void a_flush_reaches_its_users(struct ktest *t)
{
	static const unsigned lengths[] = {1, 2, TLB_FLUSH_CEILING + 1};

	if (!begin_comer(t))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(lengths) * 4; i++)
		flush_with_users(t, lengths[i / 4], i & 1, i & 2);
	end_comer();
}

static const struct ktest_case cases[] = {
	{"changes_while_idle_ends", changes_while_idle_ends},
	{"changes_while_it_is_loaded", changes_while_it_is_loaded},
	{"others_advance_meanwhile", others_advance_meanwhile},
	{"a_cpu_comes_during_a_flush", a_cpu_comes_during_a_flush},
	{"a_flush_reaches_its_users", a_flush_reaches_its_users},
};
KTEST_SUITE(race_tlb_suite, "race-tlb", "a switch and a flush, and who comes in between", true,
	    cases);
