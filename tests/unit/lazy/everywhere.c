/*
 * Suite `preempt-everywhere`: a preemption at every instruction boundary of the lazy mode.
 *
 * A script goes through all of the mode's operations. One of them is single-stepped, and at its
 * k-th instruction boundary this happens: an interrupt comes and maps, touches and unmaps a page of
 * the kernel; another task enters a section of its own on this CPU, with a nested one; and this
 * task goes on on another CPU, while the other is still in its section. Where interrupts are off
 * nothing can come; where preemption is off the switch is wanted and comes as soon as it can. k
 * goes through all boundaries that the operation was seen to have, and each must be reached.
 *
 * Oracle: after each operation the mode, the queue and the table are what its contract says,
 * whatever came in between; the other task's section too; and the assertions of the mode. The
 * switch that was wanted has come.
 *
 * Not analysed: the steps of the script enter, lock and leave in functions of their own.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/layout.h"
#include "kernel/sched/sched.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"
#include "tests/unit/lib/ticks.h"

#define ADDR 0x40000000UL
#define ENTRIES 16
#define PARTNER_ENTRIES 6
/* In the L4 slot of the kernel stacks, far behind them; a page for each CPU. */
#define INTERRUPT_AREA (KSTACK_AREA + PGD_SIZE / 2)
#define MAX_PARTNERS 2

enum operation {
	OP_ENTER,
	OP_NESTED_ENTER,
	OP_SET_PTE,
	OP_CLEAR,
	OP_MODIFY,
	OP_NESTED_LEAVE,
	OP_FLUSH,
	OP_GET,
	OP_OWE,
	OP_PAUSE,
	OP_RESUME,
	OP_SWITCH,
	OP_LEAVE,
	NR_OPERATIONS,
};

static const char *const names[NR_OPERATIONS] = {
	"enter",    "nested enter", "set_pte", "get_and_clear", "modify", "nested leave", "flush",
	"ptep_get", "flush_tlb",    "pause",   "resume",	"switch", "leave",
};

/* --- the page tables: one for the script, one for each partner --- */

struct page_under_test {
	unsigned long addr;
	pte_t *ptep;
	struct spinlock *ptl;
	u64 expected[ENTRIES];
};

static struct mm *mm;
static struct page_under_test mine, theirs[MAX_PARTNERS];

static void find_page(struct page_under_test *p, unsigned long addr)
{
	*p = (struct page_under_test){.addr = addr};
	p->ptep = pte_offset_map_lock(test_pte_page(mm, addr), addr, &p->ptl);
	pte_unmap_unlock(p->ptep, p->ptl);
}

static void set(struct page_under_test *p, unsigned i, unsigned n) __no_thread_safety
{
	p->expected[i] = test_value(n).v;
	set_pte_at(mm, p->addr + i * PAGE_SIZE, p->ptep + i, test_value(n));
}

static bool is_effective(const struct page_under_test *p, unsigned i)
{
	return (READ_ONCE(p->ptep[i].v) & ~_PAGE_AD) == p->expected[i];
}

/* --- the other task --- */

static struct partner {
	struct task *task;
	u32 asked, done;
	bool hold, holding; /* in the inner section, until the script has ended */
	bool stop, stopped, released, wrong;
} partners[MAX_PARTNERS];

/* A section, nested and all, that must come out right. */
static void partners_section(struct partner *self, struct page_under_test *p, unsigned n)
	__no_thread_safety
{
	lazy_mmu_state_t outer, inner;

	spin_lock_preemptible(p->ptl, 0);
	outer = arch_enter_lazy_mmu_mode();
	set(p, 0, n);
	inner = arch_enter_lazy_mmu_mode();
	set(p, 1, n + 1);
	while (READ_ONCE(self->hold)) {
		WRITE_ONCE(self->holding, true);
		cpu_relax();
	}
	WRITE_ONCE(self->holding, false);
	arch_leave_lazy_mmu_mode(inner);
	self->wrong |= !is_effective(p, 0) || !is_effective(p, 1);
	for (unsigned i = 2; i < PARTNER_ENTRIES; i++)
		set(p, i, n + i);
	flush_tlb_range(mm, p->addr, p->addr + PARTNER_ENTRIES * PAGE_SIZE);
	arch_leave_lazy_mmu_mode(outer);
	for (unsigned i = 0; i < PARTNER_ENTRIES; i++)
		self->wrong |= !is_effective(p, i);
	self->wrong |= current->lazy_mmu != 0;
	pte_unmap_unlock(p->ptep, p->ptl);
}

static void partner_main(void *arg)
{
	struct partner *self = arg;

	while (!READ_ONCE(self->stop)) {
		set_current_state(TASK_BLOCKED);
		if (READ_ONCE(self->asked) == self->done && !READ_ONCE(self->stop))
			schedule();
		set_current_state(TASK_RUNNING);
		if (READ_ONCE(self->asked) == self->done)
			continue;
		partners_section(self, &theirs[self - partners], self->asked);
		smp_store_release(&self->done, self->asked);
	}
	smp_store_release(&self->stopped, true);
	while (!READ_ONCE(self->released))
		let_others_run(); /* somebody may still be about to wake this task */
}

static void ask_partner(unsigned cpu)
{
	WRITE_ONCE(partners[cpu].asked, partners[cpu].asked + 1);
	wake_up_task(partners[cpu].task);
}

static bool partner_is_done(unsigned cpu)
{
	return smp_load_acquire(&partners[cpu].done) == READ_ONCE(partners[cpu].asked);
}

/* Done, and off its run queue: the next pass finds it as this one did. */
static bool partner_is_asleep(unsigned cpu)
{
	return partner_is_done(cpu) && !READ_ONCE(partners[cpu].task->on_rq) &&
	       !READ_ONCE(partners[cpu].task->on_cpu);
}

static unsigned nr_cpus(void)
{
	return min(cpumask_weight(&cpu_online_mask), (unsigned)MAX_PARTNERS);
}

static void start_partners(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++) {
		const cpumask_t mask = cpumask_of(cpu);

		partners[cpu] = (struct partner){0};
		partners[cpu].task = kthread_run("partner", partner_main, &partners[cpu]);
		BUG_ON(sched_setaffinity(partners[cpu].task, &mask));
		find_page(&theirs[cpu], ADDR + (cpu + 1) * PMD_SIZE);
	}
}

static void stop_partners(struct ktest *t)
{
	unsigned sections_done = 0;

	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++) {
		WRITE_ONCE(partners[cpu].stop, true);
		while (!smp_load_acquire(&partners[cpu].stopped)) {
			wake_up_task(partners[cpu].task);
			let_others_run();
		}
		KEXPECT(t, !partners[cpu].wrong);
		sections_done += partners[cpu].done;
		WRITE_ONCE(partners[cpu].released, true);
	}
	KEXPECT(t, sections_done > 0);
}

/* --- the interrupt --- */

static struct page *interrupt_page[MAX_PARTNERS];
static u64 interrupts[MAX_PARTNERS];
static bool interrupt_wrong;

/* Map a page, use it, unmap it: what a kernel may do in an interrupt, section or not. */
static void map_in_interrupt(const struct pt_regs *regs __unused)
{
	unsigned cpu = smp_processor_id();
	unsigned long va = INTERRUPT_AREA + cpu * PAGE_SIZE;
	u64 *p = (u64 *)va;

	if (cpu >= nr_cpus())
		return;
	kernel_map(va, page_to_pfn(interrupt_page[cpu]), (pgprot_t){_PAGE_KERNEL & ~_PAGE_GLOBAL});
	WRITE_ONCE(*p, ++interrupts[cpu]);
	if (READ_ONCE(*(u64 *)page_to_virt(interrupt_page[cpu])) != interrupts[cpu])
		interrupt_wrong = true;
	pv_set_pte(pte_offset(*pmd_find(&init_mm, va), va), (pte_t){0});
	pv_flush_tlb_one(va);
}

static void start_interrupts(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++) {
		BUG_ON(kernel_map_prepare(INTERRUPT_AREA + cpu * PAGE_SIZE));
		interrupt_page[cpu] = alloc_page(PAGE_KERNEL);
		BUG_ON(!interrupt_page[cpu]);
		interrupts[cpu] = 0;
	}
	interrupt_wrong = false;
	set_timer_hook(map_in_interrupt);
}

static void stop_interrupts(struct ktest *t)
{
	set_timer_hook(NULL);
	KEXPECT(t, !interrupt_wrong);
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++)
		free_page(interrupt_page[cpu]);
}

/* Interrupts are on, preemption is off. */
static void take_an_interrupt(void)
{
	u64 *n = &interrupts[smp_processor_id()], before = READ_ONCE(*n);

	pv_set_timer(1);
	while (READ_ONCE(*n) == before)
		cpu_relax();
}

/* --- a boundary --- */

static struct {
	enum operation op; /* the one that is stepped */
	unsigned target;   /* at which of its boundaries it is preempted */
	struct task *task;
	unsigned boundary;
	unsigned at_once, delayed, closed; /* of all boundaries: what could come there */
	unsigned migrated;
	unsigned lost; /* switches that were still wanted at the end of the operation */
} step;

static unsigned other_cpu(unsigned cpu)
{
	return (cpu + 1) % nr_cpus();
}

static void preempt_here(void)
{
	unsigned cpu = smp_processor_id();
	bool at_once = preempt_count() == 0;

	preempt_disable();
	take_an_interrupt();
	ask_partner(cpu);
	if (nr_cpus() > 1) {
		WRITE_ONCE(partners[cpu].hold, true);
		/* And there it stays: a CPU without work must not fetch it back. */
		step.task->cpus_allowed = cpumask_of(other_cpu(cpu));
		WRITE_ONCE(step.task->migrate_to, (int)other_cpu(cpu));
	}
	preempt_enable_no_resched();
	if (!at_once) {
		step.delayed++;
		set_need_resched();
		return;
	}
	step.at_once++;
	do {
		sched_yield_in_lock();
		cpu_relax();
	} while (!partner_is_done(cpu) && !READ_ONCE(partners[cpu].holding));
	step.migrated += smp_processor_id() != cpu;
}

/*
 * After each instruction of this CPU until the operation ends. A switch goes to the partner and
 * back; what runs in between is not the operation's.
 */
static void after_instruction(struct pt_regs *regs)
{
	bool open = regs->flags & FLAGS_IF;

	if (current != step.task || step.boundary++ != step.target)
		return;
	if (!open) {
		/* Nothing can come, so nothing has changed: the next boundary will do. */
		step.closed++;
		step.target++;
		return;
	}
	regs->flags &= ~FLAGS_TF;
	local_irq_enable();
	preempt_here();
	local_irq_disable();
}

static __always_inline void begin(enum operation op)
{
	if (op == step.op)
		step_begin();
}

static __always_inline void end(enum operation op)
{
	if (op != step.op)
		return;
	step_end();
	step.lost += need_resched();
}

/* --- the script --- */

static bool queues(void)
{
	return pv_queues_updates && lazy_mmu_enabled;
}

static void expect_mode(struct ktest *t, bool active)
{
	KEXPECT_EQ(t, is_lazy_mmu_mode_active(), active && lazy_mmu_enabled);
}

static void expect_all_effective(struct ktest *t)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!is_effective(&mine, i))
			KEXPECT_EQ(t, READ_ONCE(mine.ptep[i].v), mine.expected[i]);
	KEXPECT(t, batch_is_empty());
}

static void modify(unsigned i, unsigned n) __no_thread_safety
{
	unsigned long addr = mine.addr + i * PAGE_SIZE;

	mine.expected[i] = test_value(n).v;
	ptep_modify_prot_commit(mm, addr, mine.ptep + i, test_value(n));
}

static void clear(struct ktest *t, unsigned i) __no_thread_safety
{
	u64 was = mine.expected[i];

	mine.expected[i] = 0;
	KEXPECT_EQ(t, ptep_get_and_clear(mm, mine.addr + i * PAGE_SIZE, mine.ptep + i).v, was);
}

/* What the operation of the mode leaves to the leave. */
static void owe(unsigned n)
{
	set(&mine, 12, n);
	flush_tlb_range(mm, mine.addr, mine.addr + PAGE_SIZE);
}

/* Not in the queue of a CPU that the task has left. */
static void expect_owed_or_paid(struct ktest *t, u64 generation)
{
	preempt_disable();
	KEXPECT(t, READ_ONCE(mm->tlb.generation.v) != generation ||
			   this_cpu_ptr(this_batch)->flush.mm == mm);
	preempt_enable();
}

static void sections(struct ktest *t, unsigned n) __no_thread_safety
{
	lazy_mmu_state_t outer, inner;
	u64 generation;
	pte_t got;

	begin(OP_ENTER);
	outer = arch_enter_lazy_mmu_mode();
	end(OP_ENTER);
	expect_mode(t, true);
	set(&mine, 0, n);

	begin(OP_NESTED_ENTER);
	inner = arch_enter_lazy_mmu_mode();
	end(OP_NESTED_ENTER);
	expect_mode(t, true);

	begin(OP_SET_PTE);
	set(&mine, 1, n);
	end(OP_SET_PTE);
	begin(OP_CLEAR);
	clear(t, 2);
	end(OP_CLEAR);
	begin(OP_MODIFY);
	modify(3, n);
	end(OP_MODIFY);
	if (!queues())
		KEXPECT(t,
			is_effective(&mine, 1) && is_effective(&mine, 2) && is_effective(&mine, 3));

	owe(n);
	begin(OP_NESTED_LEAVE);
	arch_leave_lazy_mmu_mode(inner);
	end(OP_NESTED_LEAVE);
	expect_mode(t, true);
	expect_all_effective(t);

	owe(n + 1);
	begin(OP_FLUSH);
	arch_flush_lazy_mmu_mode();
	end(OP_FLUSH);
	expect_mode(t, true);
	expect_all_effective(t);

	begin(OP_GET);
	got = ptep_get(mine.ptep + 1);
	end(OP_GET);
	KEXPECT_EQ(t, got.v & ~_PAGE_AD, mine.expected[1]);

	generation = READ_ONCE(mm->tlb.generation.v);
	begin(OP_OWE);
	flush_tlb_range(mm, mine.addr, mine.addr + PAGE_SIZE);
	end(OP_OWE);
	expect_owed_or_paid(t, generation);

	owe(n + 2);
	begin(OP_PAUSE);
	lazy_mmu_mode_pause();
	end(OP_PAUSE);
	expect_mode(t, false);
	expect_all_effective(t);
	set(&mine, 4, n);
	expect_all_effective(t);

	begin(OP_RESUME);
	lazy_mmu_mode_resume();
	end(OP_RESUME);
	expect_mode(t, true);

	owe(n + 3);
	preempt_disable(); /* or waking would switch */
	ask_partner(smp_processor_id());
	preempt_enable_no_resched();
	begin(OP_SWITCH);
	sched_yield_in_lock();
	end(OP_SWITCH);
	expect_mode(t, true);
	expect_all_effective(t);

	owe(n + 4);
	begin(OP_LEAVE);
	arch_leave_lazy_mmu_mode(outer);
	end(OP_LEAVE);
	expect_mode(t, false);
	expect_all_effective(t);
}

/* Each pass begins on the same CPU, with the partners asleep. */
static void script(struct ktest *t, unsigned n) __no_thread_safety
{
	const cpumask_t start = cpumask_of(0);

	BUG_ON(sched_setaffinity(current, &start));
	spin_lock_preemptible(mine.ptl, 0);
	set(&mine, 2, n + 5);
	set(&mine, 3, n + 5);
	step.task = current;
	step.boundary = 0;
	sections(t, n);
	pte_unmap_unlock(mine.ptep, mine.ptl);
	KEXPECT_EQ(t, current->lazy_mmu, 0);
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++) {
		WRITE_ONCE(partners[cpu].hold, false);
		while (!partner_is_asleep(cpu))
			let_others_run();
	}
}

static unsigned visited(void)
{
	return step.at_once + step.delayed + step.closed;
}

static void at_every_boundary(struct ktest *t, enum operation op)
{
	unsigned boundaries;

	step.op = op;
	step.at_once = step.delayed = step.closed = step.migrated = step.lost = 0;
	step.target = ~0u;
	for (unsigned i = 0; i < 2; i++) /* the first pass starts tasks and fills caches */
		script(t, 1);
	boundaries = step.boundary;
	for (step.target = 0; step.target < boundaries && !t->failures; step.target++) {
		script(t, step.target + 1);
		/* Where CPUs really race, the first passes may have met one that held them up. */
		if (visited() == step.target && step.boundary <= step.target)
			boundaries = step.target;
	}
	printk("    # %s: %u boundaries: preempted at %u, as soon as possible at %u, "
	       "%u with interrupts off\n",
	       names[op], boundaries, step.at_once, step.delayed, step.closed);
	KEXPECT_EQ(t, visited(), boundaries);
	KEXPECT(t, step.at_once > 0);
	KEXPECT_EQ(t, step.lost, 0);
	KEXPECT(t, nr_cpus() == 1 || step.migrated == step.at_once);
}

static void clear_tables(void)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		pv_set_pte(mine.ptep + i, (pte_t){0});
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++)
		for (unsigned i = 0; i < PARTNER_ENTRIES; i++)
			pv_set_pte(theirs[cpu].ptep + i, (pte_t){0});
	test_free_tables(mm, ADDR, ADDR + (MAX_PARTNERS + 1) * PMD_SIZE);
}

/* A pass that migrates leaves the address space on another CPU: so the first ones find it there. */
static void use_everywhere(void)
{
	for (unsigned cpu = 0; cpu < nr_cpus(); cpu++) {
		const cpumask_t there = cpumask_of(cpu);

		BUG_ON(sched_setaffinity(current, &there));
	}
}

static void run_operation(struct ktest *t, enum operation op)
{
	const cpumask_t everywhere = cpu_online_mask;
	const unsigned tasks = task_count();
	/* Preemption comes from here alone: the way to a boundary is the same each time. */
	const struct sched_tuning tuning = ticks_end();

	mm = test_mm_enter();
	use_everywhere();
	find_page(&mine, ADDR);
	start_partners();
	start_interrupts();
	set_step_hook(after_instruction);
	at_every_boundary(t, op);
	set_step_hook(NULL);
	stop_interrupts(t);
	stop_partners(t);
	clear_tables();
	test_mm_leave(mm);
	BUG_ON(sched_setaffinity(current, &everywhere));
	sched_tune(tuning);
	await_tasks(tasks);
}

#define OPERATION(name, op)                                                                        \
	static void name(struct ktest *t)                                                          \
	{                                                                                          \
		run_operation(t, op);                                                              \
	}
OPERATION(enter, OP_ENTER)
OPERATION(nested_enter, OP_NESTED_ENTER)
OPERATION(set_pte, OP_SET_PTE)
OPERATION(get_and_clear, OP_CLEAR)
OPERATION(modify_prot, OP_MODIFY)
OPERATION(nested_leave, OP_NESTED_LEAVE)
OPERATION(flush, OP_FLUSH)
OPERATION(get, OP_GET)
OPERATION(owe_flush, OP_OWE)
OPERATION(pause_mode, OP_PAUSE)
OPERATION(resume_mode, OP_RESUME)
OPERATION(context_switch, OP_SWITCH)
OPERATION(leave, OP_LEAVE)

static const struct ktest_case cases[] = {
	{"enter", enter},	  {"nested_enter", nested_enter},
	{"set_pte", set_pte},	  {"get_and_clear", get_and_clear},
	{"modify", modify_prot},  {"nested_leave", nested_leave},
	{"flush", flush},	  {"get", get},
	{"owe_flush", owe_flush}, {"pause", pause_mode},
	{"resume", resume_mode},  {"switch", context_switch},
	{"leave", leave},
};
KTEST_SUITE(everywhere_suite, "preempt-everywhere",
	    "a preemption at every instruction boundary of the lazy mode", true, cases);
