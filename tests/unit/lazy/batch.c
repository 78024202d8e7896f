/*
 * Suite `batch`: the queue and the call that issues it.
 *
 * Oracle: after a section the table holds what a plain list of the same writes gives, entry for
 * entry, for every size of a batch from nothing to more than fits; the counters say in how many
 * calls. Where a hypervisor can refuse an entry, what came before it is in the table and what comes
 * after is not. An interrupt in the middle of a batch finds it half applied, changes a page table
 * of its own at once, and disturbs nothing.
 *
 * Not analysed: setup() takes the locks under which the cases enter sections, and teardown() gives
 * them back.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL /* two PTE pages from here on */
#define ENTRIES (2 * PTRS_PER_TABLE)

static struct {
	struct mm *mm;
	struct spinlock *ptl[2];
	pte_t *table[2];
	pte_t expected[ENTRIES];
} pages;

static pte_t *entry(unsigned i)
{
	return pages.table[i / PTRS_PER_TABLE] + i % PTRS_PER_TABLE;
}

static void setup(void) __no_thread_safety
{
	pages.mm = test_mm_enter();
	pages.table[0] = pte_offset_map_lock(test_pte_page(pages.mm, ADDR), ADDR, &pages.ptl[0]);
	spin_unlock_preemptible(pages.ptl[0]);
	pages.table[1] = pte_offset(*test_pte_page(pages.mm, ADDR + PMD_SIZE), ADDR + PMD_SIZE);
	pages.ptl[1] = &virt_to_page(pages.table[1])->ptl;
	spin_lock_preemptible(pages.ptl[0], 0);
	spin_lock_preemptible(pages.ptl[1], 1);
	for (unsigned i = 0; i < ENTRIES; i++)
		pages.expected[i] = (pte_t){0};
}

static void teardown(void) __no_thread_safety
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (entry(i)->v)
			pv_set_pte(entry(i), (pte_t){0});
	pte_unmap_unlock_nested(pages.table[1], pages.ptl[1]);
	pte_unmap_unlock(pages.table[0], pages.ptl[0]);
	test_free_tables(pages.mm, ADDR, ADDR + ENTRIES * PAGE_SIZE);
	test_mm_leave(pages.mm);
}

static void set(unsigned i, pte_t pte) __no_thread_safety
{
	pages.expected[i] = pte;
	set_pte_at(pages.mm, ADDR + i * PAGE_SIZE, entry(i), pte);
}

/* None is none, whatever A and D bits an earlier user of the table has left to be harvested. */
static bool is_as_expected(unsigned i)
{
	pte_t now = {READ_ONCE(entry(i)->v)};

	return now.v == pages.expected[i].v || (pte_none(now) && pte_none(pages.expected[i]));
}

static void expect_table(struct ktest *t)
{
	for (unsigned i = 0; i < ENTRIES; i++)
		if (!is_as_expected(i))
			KEXPECT_EQ(t, READ_ONCE(entry(i)->v), pages.expected[i].v);
}

static bool queues(struct ktest *t)
{
	if (pv_queues_updates && lazy_mmu_enabled)
		return true;
	ktest_skip(t, "updates are not queued");
	return false;
}

static bool validates(struct ktest *t)
{
	if (!pv_validates_updates)
		ktest_skip(t, "this backend validates nothing");
	return pv_validates_updates;
}

/* A section with @n different entries takes as many batches as it must. */
static void one_size(struct ktest *t, unsigned n) __no_thread_safety
{
	u64 batches = counter_sum(CNT_BATCHES);
	lazy_mmu_state_t s;

	preempt_disable(); /* a switch would split the batch */
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < n; i++)
		set(i, test_value(n + i));
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	if (pv_queues_updates && lazy_mmu_enabled)
		KEXPECT_EQ(t, counter_sum(CNT_BATCHES) - batches,
			   (n + BATCH_CAPACITY - 1) / BATCH_CAPACITY);
}

static void all_sizes(struct ktest *t)
{
	setup();
	for (unsigned n = 0; n <= BATCH_CAPACITY + 2; n += n < 40 || n > 508 ? 1 : 13) {
		one_size(t, n);
		expect_table(t);
	}
	one_size(t, ENTRIES);
	expect_table(t);
	teardown();
}

/* A random list of writes to few entries: the last one of each counts, in one slot of the queue. */
static void coalescing(struct ktest *t) __no_thread_safety
{
	setup();
	for (unsigned round = 0; round < 50; round++) {
		unsigned distinct = 1 + rng_below(&t->rng, 20);
		lazy_mmu_state_t s;

		preempt_disable();
		s = arch_enter_lazy_mmu_mode();
		for (unsigned k = 0; k < 200; k++) {
			unsigned i = rng_below(&t->rng, distinct) * 51;

			set(i, rng_below(&t->rng, 4) ? test_value(rng_below(&t->rng, 10000))
						     : (pte_t){0});
		}
		if (pv_queues_updates && lazy_mmu_enabled)
			KEXPECT(t, this_cpu_ptr(this_batch)->n <= distinct);
		arch_leave_lazy_mmu_mode(s);
		preempt_enable();
		expect_table(t);
	}
	teardown();
}

#define TABLES (BATCH_TABLES + 2)
#define WRITTEN 3 /* entries of each table */

static struct written {
	pte_t *table;
	unsigned last[WRITTEN];
} written[TABLES];

static bool is_made(const struct written *w, unsigned k)
{
	return READ_ONCE(w->table[k].v) == test_value(w->last[k]).v;
}

static void write_one_of(struct ktest *t, unsigned n)
{
	struct written *w = &written[rng_below(&t->rng, TABLES)];
	unsigned k = rng_below(&t->rng, WRITTEN);

	w->last[k] = n;
	pv_set_pte(w->table + k, test_value(n)); /* its table has no lock of its own here */
	for (w = written; w < written + TABLES; w++)
		for (k = 0; k < WRITTEN; k++)
			KEXPECT(t, !w->last[k] || is_made(w, k) || batch_is_pending(w->table + k));
}

/*
 * Writes to more tables than the queue remembers: whatever it forgets, each update is either made
 * or found.
 */
static void more_tables_than_are_remembered(struct ktest *t) __no_thread_safety
{
	lazy_mmu_state_t s;

	if (!queues(t))
		return;
	setup();
	for (unsigned i = 0; i < TABLES; i++)
		written[i] = (struct written){page_to_virt(table_alloc(pages.mm, 1)), {0}};
	preempt_disable();
	s = arch_enter_lazy_mmu_mode();
	for (unsigned n = 1; n < 500 && !t->failures; n++)
		write_one_of(t, n);
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	for (unsigned i = 0; i < TABLES; i++) {
		for (unsigned k = 0; k < WRITTEN; k++) {
			KEXPECT(t, is_made(&written[i], k));
			pv_set_pte(written[i].table + k, (pte_t){0});
		}
		table_free(virt_to_page(written[i].table));
	}
	teardown();
}

/* Of two tables that the queue remembers, it forgets the one without an update. */
static void the_idle_table_is_forgotten(struct ktest *t) __no_thread_safety
{
	pte_t *third;
	lazy_mmu_state_t s;

	if (!queues(t))
		return;
	setup();
	third = page_to_virt(table_alloc(pages.mm, 1));
	preempt_disable();
	for (unsigned first = 0; first < 2; first++) {
		s = arch_enter_lazy_mmu_mode();
		set(first * PTRS_PER_TABLE, test_value(1));
		set(!first * PTRS_PER_TABLE, test_value(2));
		arch_leave_lazy_mmu_mode(s);
		s = arch_enter_lazy_mmu_mode();
		set(first * PTRS_PER_TABLE, test_value(3));
		pv_set_pte(third, test_value(4));
		KEXPECT(t, batch_is_pending(entry(first * PTRS_PER_TABLE)));
		KEXPECT(t, batch_is_pending(third));
		arch_leave_lazy_mmu_mode(s);
		expect_table(t);
	}
	preempt_enable();
	pv_set_pte(third, (pte_t){0});
	table_free(virt_to_page(third));
	teardown();
}

/* --- a look at the queue is preempted --- */

static struct {
	unsigned boundary, target;
	pte_t *table[BATCH_TABLES];
} intruder;

/* The task is preempted and goes on elsewhere; here another one fills the queue. */
static void another_section_comes(struct pt_regs *regs)
{
	if (intruder.boundary++ != intruder.target)
		return;
	if (preempt_count() == 0 && (regs->flags & FLAGS_IF))
		for (unsigned i = 0; i < BATCH_TABLES; i++)
			pv_set_pte(intruder.table[i], test_value(i));
}

static bool look_at_boundary(struct ktest *t, unsigned target)
{
	bool pending;

	set(0, test_value(target));
	arch_flush_lazy_mmu_mode();
	intruder.boundary = 0;
	intruder.target = target;
	step_begin();
	pending = batch_is_pending(entry(0));
	step_end();
	arch_flush_lazy_mmu_mode();
	KEXPECT(t, !pending);
	return intruder.boundary > target;
}

static void a_look_is_preempted(struct ktest *t) __no_thread_safety
{
	unsigned target = 0;
	lazy_mmu_state_t s;

	if (!queues(t))
		return;
	setup();
	for (unsigned i = 0; i < BATCH_TABLES; i++)
		intruder.table[i] = page_to_virt(table_alloc(pages.mm, 1));
	s = arch_enter_lazy_mmu_mode();
	set_step_hook(another_section_comes);
	while (look_at_boundary(t, target) && !t->failures)
		target++;
	set_step_hook(NULL);
	arch_leave_lazy_mmu_mode(s);
	KEXPECT(t, target > 10);
	for (unsigned i = 0; i < BATCH_TABLES; i++) {
		pv_set_pte(intruder.table[i], (pte_t){0});
		table_free(virt_to_page(intruder.table[i]));
	}
	teardown();
}

/* A report of what is refused names who queued it. */
static void callers_are_kept(struct ktest *t) __no_thread_safety
{
	struct batch *b;
	lazy_mmu_state_t s;

	if (!queues(t))
		return;
	setup();
	preempt_disable();
	b = this_cpu_ptr(this_batch);
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < 3; i++) {
		b->caller[i] = 0;
		set(i, test_value(i));
		KEXPECT(t, b->n == i + 1 && b->caller[i]);
	}
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	teardown();
}

/*
 * Changes that keep A and D and stores that do not, several for one entry: what is left is what
 * each would have left alone, one after the other.
 */
static void coalescing_of_commands(struct ktest *t) __no_thread_safety
{
	pte_t accessed = {test_value(1).v | _PAGE_AD}, plain = test_value(2), last = test_value(3);

	if (!queues(t))
		return;
	setup();
	for (unsigned keeps = 0; keeps < 8; keeps++) {
		u64 expected = accessed.v;
		lazy_mmu_state_t s;

		pv_set_pte(entry(0), accessed);
		preempt_disable();
		s = arch_enter_lazy_mmu_mode();
		for (unsigned k = 0; k < 3; k++) {
			pte_t new = k == 0 ? plain : k == 1 ? (pte_t){plain.v | _PAGE_DIRTY} : last;

			if (keeps & BIT(k)) {
				pv_modify_ptes(entry(0), &new, 1);
				expected = new.v | (expected & _PAGE_AD);
			} else {
				pv_set_pte(entry(0), new);
				expected = new.v;
			}
		}
		arch_leave_lazy_mmu_mode(s);
		preempt_enable();
		KEXPECT_EQ(t, READ_ONCE(entry(0)->v), expected);
	}
	teardown();
}

/* What no hypervisor lets pass: the table itself, writable. */
static pte_t forbidden(void)
{
	return mk_pte(virt_to_page(pages.table[0]), vm_page_prot(VM_READ | VM_WRITE));
}

/* A batch of @n whose entry @k is refused: all before it applied, nothing from it on. */
static void refuse(struct ktest *t, unsigned n, unsigned k) __no_thread_safety
{
	lazy_mmu_state_t s;

	preempt_disable();
	batch_refusal = (struct batch_refusal){.expected = true};
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < n; i++) {
		if (i < k)
			set(i, test_value(i + k));
		else
			set_pte_at(pages.mm, ADDR + i * PAGE_SIZE, entry(i),
				   i == k ? forbidden() : test_value(i));
	}
	arch_leave_lazy_mmu_mode(s);
	batch_refusal.expected = false;
	preempt_enable();
	KEXPECT_EQ(t, batch_refusal.seen, 1);
	KEXPECT_EQ(t, batch_refusal.applied, k);
	KEXPECT(t, batch_refusal.err < 0);
	expect_table(t);
}

static void refused_entries(struct ktest *t)
{
	static const unsigned edges[] = {0, 1, 30, 31, 255, 510, 511};

	if (!queues(t) || !validates(t))
		return;
	setup();
	for (unsigned k = 0; k < 40; k++)
		refuse(t, 40, k);
	for (unsigned e = 0; e < ARRAY_SIZE(edges); e++)
		refuse(t, BATCH_CAPACITY, edges[e]);
	teardown();
}

/* Outside of a section, by the shorter call: of an entry of what is loaded. */
static void a_refused_installation(struct ktest *t) __no_thread_safety
{
	if (!validates(t))
		return;
	setup();
	batch_refusal = (struct batch_refusal){.expected = true};
	install_pte(pages.mm, ADDR, entry(0), forbidden());
	batch_refusal.expected = false;
	KEXPECT_EQ(t, batch_refusal.seen, 1);
	KEXPECT_EQ(t, batch_refusal.applied, 0);
	KEXPECT(t, batch_refusal.err < 0);
	expect_table(t);
	teardown();
}

/* The same by request: an update that is right is refused, the @k-th of @n. */
static void refuse_by_request(struct ktest *t, unsigned n, unsigned k) __no_thread_safety
{
	lazy_mmu_state_t s;

	preempt_disable();
	batch_refusal = (struct batch_refusal){.expected = true, .nth = k + 1};
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < n; i++) {
		if (i < k)
			set(i, test_value(i + k + 7));
		else
			set_pte_at(pages.mm, ADDR + i * PAGE_SIZE, entry(i), test_value(i));
	}
	arch_leave_lazy_mmu_mode(s);
	batch_refusal.expected = false;
	preempt_enable();
	KEXPECT_EQ(t, batch_refusal.nth, 0);
	KEXPECT_EQ(t, batch_refusal.seen, 1);
	KEXPECT_EQ(t, batch_refusal.applied, k);
	expect_table(t);
}

static void injected_refusals(struct ktest *t)
{
	if (!queues(t) || !validates(t))
		return;
	if (!pv_injects_refusals) {
		ktest_skip(t, "this hypervisor refuses nothing by request");
		return;
	}
	setup();
	for (unsigned k = 0; k < 40; k++)
		refuse_by_request(t, 40, k);
	refuse_by_request(t, BATCH_CAPACITY, BATCH_CAPACITY - 1);
	teardown();
}

/* --- an interrupt in the middle --- */

#define OTHER (PTRS_PER_TABLE + 100) /* the interrupt's own entry, in the second table */

/* On a busy host the timer comes late, and rounds pass without it: interrupts are what counts. */
#define INTERRUPTS_MAX 500
#define ROUNDS_MAX 200000

static struct {
	unsigned in_the_middle, interrupts;
	bool wrong;
} seen;

static void in_interrupt_hook(const struct pt_regs *regs __unused)
{
	bool first = entry(0)->v == pages.expected[0].v;
	bool last = entry(BATCH_CAPACITY - 1)->v == pages.expected[BATCH_CAPACITY - 1].v;

	if (!pages.expected[0].v)
		return;
	seen.interrupts++;
	if (first && !last)
		seen.in_the_middle++;
	pv_set_pte(entry(OTHER), test_value(seen.interrupts));
	if (entry(OTHER)->v != test_value(seen.interrupts).v)
		seen.wrong = true;
	pages.expected[OTHER] = test_value(seen.interrupts);
}

/* Fill a batch and let an interrupt come about when it is issued. */
static void interrupted_batch(struct ktest *t, unsigned round) __no_thread_safety
{
	lazy_mmu_state_t s;

	preempt_disable();
	s = arch_enter_lazy_mmu_mode();
	for (unsigned i = 0; i < BATCH_CAPACITY; i++)
		set(i, test_value(round * 2 + i % 2));
	pv_set_timer(1000 + rng_below(&t->rng, 60) * 1000);
	arch_leave_lazy_mmu_mode(s);
	preempt_enable();
	expect_table(t);
}

static void event_in_the_middle(struct ktest *t)
{
	if (!queues(t) || !validates(t))
		return;
	setup();
	seen.in_the_middle = seen.interrupts = 0;
	seen.wrong = false;
	set_timer_hook(in_interrupt_hook);
	for (unsigned round = 1;
	     round < ROUNDS_MAX && seen.in_the_middle < 5 && seen.interrupts < INTERRUPTS_MAX;
	     round++)
		interrupted_batch(t, round);
	set_timer_hook(NULL);
	KEXPECT(t, seen.in_the_middle >= 5);
	KEXPECT(t, !seen.wrong);
	teardown();
}

/* --- how many calls --- */

/* On Xen updates and flush of a section are one multicall, whatever their number. */
static void one_call_a_section(struct ktest *t) __no_thread_safety
{
	static const unsigned sizes[] = {1, 2, 31, 511, 512};

	if (!queues(t))
		return;
	setup();
	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		u64 calls, updates, entries;
		lazy_mmu_state_t s;

		preempt_disable();
		s = arch_enter_lazy_mmu_mode();
		for (unsigned i = 0; i < sizes[k]; i++)
			set(i, test_value(k));
		flush_tlb_range(pages.mm, ADDR, ADDR + sizes[k] * PAGE_SIZE);
		local_irq_disable();
		calls = this_cpu_ptr(cpu_counters)[0][CNT_HYPERCALLS];
		updates = this_cpu_ptr(cpu_counters)[0][CNT_MMU_UPDATES];
		entries = this_cpu_ptr(cpu_counters)[0][CNT_MMU_UPDATE_ENTRIES];
		arch_flush_lazy_mmu_mode();
		calls = this_cpu_ptr(cpu_counters)[0][CNT_HYPERCALLS] - calls;
		updates = this_cpu_ptr(cpu_counters)[0][CNT_MMU_UPDATES] - updates;
		entries = this_cpu_ptr(cpu_counters)[0][CNT_MMU_UPDATE_ENTRIES] - entries;
		local_irq_enable();
		arch_leave_lazy_mmu_mode(s);
		preempt_enable();
		KEXPECT_EQ(t, calls, 1);
		KEXPECT(t, !updates || (updates == 1 && entries == sizes[k]));
		expect_table(t);
	}
	teardown();
}

static const struct ktest_case cases[] = {
	{"all_sizes", all_sizes},
	{"coalescing", coalescing},
	{"more_tables_than_are_remembered", more_tables_than_are_remembered},
	{"the_idle_table_is_forgotten", the_idle_table_is_forgotten},
	{"a_look_is_preempted", a_look_is_preempted},
	{"callers_are_kept", callers_are_kept},
	{"coalescing_of_commands", coalescing_of_commands},
	{"refused_entries", refused_entries},
	{"a_refused_installation", a_refused_installation},
	{"injected_refusals", injected_refusals},
	{"event_in_the_middle", event_in_the_middle},
	{"one_call_a_section", one_call_a_section},
};
KTEST_SUITE(batch_suite, "batch", "the queue and the call that issues it", true, cases);
