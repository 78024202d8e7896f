/*
 * The calls of the software hypervisor, and the entries of the pv table that make them.
 *
 * A batch is carried out entry by entry with interrupts off. As the seed says, it stops in the
 * middle, is delayed, and lets an event in, as Xen does with a long call; and what is refused ends
 * it: what came before is done, nothing after it is. Then the invalidation that the section owes is
 * made.
 */
#include "pv/soft/soft.h"

#include "kernel/arch/irqflags.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/cpu/rng.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/mm.h"
#include "pv/native/native.h"

#define STOP_ONE_IN 8 /* calls */
#define MAX_DELAY 400 /* turns of a loop */
#define MMU_UPDATE 1  /* the call's number, as Xen's */

/*
 * Where this call of @n entries, made with @flags, stops to let an event in; @n: nowhere. One that
 * is single-stepped goes the same way each time. Interrupts are off.
 */
static unsigned choose_stop(unsigned n, unsigned long flags)
{
	if (!(flags & FLAGS_IF) || (flags & FLAGS_TF) || n < 2 ||
	    rng_below(this_cpu_rng(), STOP_ONE_IN))
		return n;
	return 1 + rng_below(this_cpu_rng(), n - 1);
}

/* The call is delayed and interrupted; it holds nothing. */
static void let_an_event_in(void)
{
	unsigned delay = rng_below(this_cpu_rng(), MAX_DELAY);

	count(CNT_HYPERCALL_STOPS);
	local_irq_enable();
	while (delay--)
		cpu_relax();
	pv_send_ipi(smp_processor_id(), VECTOR_TIMER);
	cpu_relax();
	local_irq_disable();
}

/* True once, when the update that a test has chosen comes. */
static bool refusal_is_due(void)
{
	return batch_refusal.nth && !--batch_refusal.nth;
}

/* Entries [from, to) of the call; how many were done. NULL or why the next was refused in @why. */
static unsigned validate_and_store(const struct pt_update *u, unsigned from, unsigned to, u64 *old,
				   const char **why)
{
	spin_lock_unfair(&soft_lock);
	for (; from < to; from++) {
		struct soft_change c = {.maddr = u[from].ptr & ~7UL, .val = u[from].val};

		c.keep_ad = u[from].ptr & PT_PRESERVE_AD;
		*why = refusal_is_due() ? "as was asked for" : soft_change_entry(&c);
		if (*why)
			break;
		*old = c.old;
	}
	spin_unlock(&soft_lock);
	return from;
}

/* The call: 0 or an error; how many entries were @done, and what the last of them had held. */
static long mmu_update(const struct pt_update *u, unsigned n, unsigned *done, u64 *old)
{
	unsigned long flags = local_irq_save();
	unsigned stop = choose_stop(n, flags);
	const char *why = NULL;

	count(CNT_HYPERCALLS);
	trace(TRACE_HYPERCALL, 0, (u64)u, MMU_UPDATE);
	count(CNT_MMU_UPDATES);
	count_n(CNT_MMU_UPDATE_ENTRIES, n);
	*done = validate_and_store(u, 0, stop, old, &why);
	if (!why && stop < n) {
		let_an_event_in();
		*done = validate_and_store(u, stop, n, old, &why);
	}
	local_irq_restore(flags);
	if (why && !batch_refusal.expected)
		pr_err("hypervisor: update %u of %u is refused: %s\n", *done, n, why);
	return why ? -EPERM : 0;
}

static void soft_issue(struct batch *b)
{
	unsigned done = 0;
	u64 old;

	if (b->n) {
		long err = mmu_update(b->update, b->n, &done, &old);

		batch_check_applied(b->update, b->n, err, done, b->caller);
	}
	batch_pay_flush(b);
}

/* One update at once; what the entry held. */
static u64 soft_update_now(struct pt_update u, unsigned long caller)
{
	unsigned done = 0;
	u64 old = 0;
	long err;

	preempt_disable();
	err = mmu_update(&u, 1, &done, &old);
	preempt_enable();
	batch_check_applied_by(&u, 1, err, done, caller);
	return old;
}

static __always_inline void soft_update(pte_t *ptep, const pte_t *pte, unsigned n,
					enum pt_command cmd)
{
	unsigned long caller = (unsigned long)__builtin_return_address(0);

	if (is_lazy_mmu_mode_active()) {
		batch_queue(ptep, pte, n, cmd, caller);
		return;
	}
	for (unsigned i = 0; i < n; i++)
		soft_update_now((struct pt_update){__pa(ptep + i) | cmd, pte[i].v}, caller);
}

static void soft_set_pte(pte_t *ptep, pte_t pte)
{
	soft_update(ptep, &pte, 1, PT_NORMAL);
}

static void soft_install_pte(pte_t *ptep, pte_t pte, unsigned long addr __unused)
{
	soft_update(ptep, &pte, 1, PT_NORMAL);
}

static void soft_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n)
{
	soft_update(ptep, new, n, PT_PRESERVE_AD);
}

/*
 * In a section the clear is queued with its A and D bits kept: after the leave the entry, not
 * present any more, still holds what the CPU had set by then. That is the "clear and harvest" of
 * mm/range/zap.c.
 */
static __always_inline void get_and_clear(pte_t *ptep, pte_t *old, unsigned n, unsigned long caller)
{
	bool queue = is_lazy_mmu_mode_active();

	ASSERT(n <= PV_RUN_MAX);
	for (unsigned i = 0; i < n; i++)
		old[i].v = queue ? READ_ONCE(ptep[i].v)
				 : soft_update_now((struct pt_update){__pa(ptep + i), 0}, caller);
	if (queue)
		batch_queue(ptep, batch_none, n, PT_PRESERVE_AD, caller);
}

static void soft_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n)
{
	get_and_clear(ptep, old, n, (unsigned long)__builtin_return_address(0));
}

static pte_t soft_ptep_get_and_clear(pte_t *ptep)
{
	pte_t old;

	get_and_clear(ptep, &old, 1, (unsigned long)__builtin_return_address(0));
	return old;
}

static void soft_set_tables(const struct table_change *change, unsigned n)
{
	unsigned long flags = local_irq_save();

	count(CNT_HYPERCALLS);
	count(CNT_TABLE_UPDATES);
	spin_lock_unfair(&soft_lock);
	for (unsigned i = 0; i < n; i++) {
		struct soft_change c = {.maddr = __pa(change[i].entry), .val = change[i].val};
		const char *why = soft_change_entry(&c);

		if (why)
			panic("hypervisor: the entry at %p cannot become %#lx: %s", change[i].entry,
			      change[i].val, why);
	}
	spin_unlock(&soft_lock);
	local_irq_restore(flags);
}

static int soft_alloc_table(struct mm *mm, u64 frame, unsigned level)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	const char *why = soft_make_table(frame, level, mm == &init_mm);

	count(CNT_HYPERCALLS);
	if (why)
		panic("hypervisor: frame %#lx cannot become a table of level %u: %s", frame, level,
		      why);
	spin_unlock_irqrestore(&soft_lock, flags);
	return 0;
}

static void soft_unmake(u64 frame)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	const char *why = soft_unmake_table(frame);

	count(CNT_HYPERCALLS);
	if (why)
		panic("hypervisor: frame %#lx cannot cease to be a table: %s", frame, why);
	shadow_forget_table(frame);
	spin_unlock_irqrestore(&soft_lock, flags);
}

static unsigned soft_audit(void)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	unsigned wrong = soft_frames_audit() + shadow_audit();

	spin_unlock_irqrestore(&soft_lock, flags);
	return wrong;
}

void deferred_setup(void)
{
	pv_ops.name = "deferred";
	pv_queues_updates = true;
	pv_validates_updates = true;
	pv_owns_tables = true;
	pv_injects_refusals = true;
	/* No reserve: the books see each table come and go. */
	pv_table_costs = (struct pv_table_costs){
		.fill_min = 4, .drop_min = 4, .shift_min = 4, .swing_min = 4};
	pv_ops.mmu.take_over = soft_frames_init;
	pv_ops.mmu.set_pte = soft_set_pte;
	pv_ops.mmu.install_pte = soft_install_pte;
	pv_ops.mmu.ptep_get_and_clear = soft_ptep_get_and_clear;
	pv_ops.mmu.get_and_clear_ptes = soft_get_and_clear_ptes;
	pv_ops.mmu.modify_ptes = soft_modify_ptes;
	pv_ops.mmu.set_tables = soft_set_tables;
	pv_ops.mmu.alloc_table = soft_alloc_table;
	pv_ops.mmu.unmake_table = soft_unmake;
	pv_ops.mmu.issue = soft_issue;
	pv_ops.mmu.audit = soft_audit;
}
