/*
 * The deferred backend: the CPU walks the guest's tables, but inside a lazy section nothing is
 * written to them until the batch is issued, as on Xen. "The hypervisor" is the function that
 * applies it, with Xen's meaning of the two commands.
 *
 * It makes every rule of the lazy section bite on plain QEMU: a read of a queued entry, a lock
 * dropped before the batch is issued or a TLB flush ahead of it has the same effect here as there.
 */
#include "pv/deferred.h"

#include "kernel/counters.h"
#include "kernel/panic.h"
#include "kernel/seeded.h"
#include "mm/addr.h"
#include "mm/lazy_mmu.h"
#include "pv/batch.h"
#include "pv/native.h"

/* One update, as Xen's do_mmu_update() would carry it out. */
static void apply(const struct pt_update *u)
{
	pte_t *ptep = __va(u->ptr & ~7UL), old = *(volatile pte_t *)ptep;

	if ((u->ptr & PT_PRESERVE_AD) && !seeded(BUG_LOSES_DIRTY))
		native_ptep_modify(ptep, old, (pte_t){u->val | (old.v & _PAGE_AD)});
	else
		native_set_pte(ptep, (pte_t){u->val});
}

static void deferred_issue(struct batch *b)
{
	if (b->n)
		count(CNT_HYPERCALLS);
	if (seeded(BUG_FLUSH_BEFORE_UPDATES))
		batch_pay_flush(b);
	for (unsigned i = 0; i < b->n; i++)
		apply(&b->update[i]);
	if (!seeded(BUG_FLUSH_BEFORE_UPDATES))
		batch_pay_flush(b);
}

static __always_inline void update(pte_t *ptep, u64 val, enum pt_command cmd)
{
	if (is_lazy_mmu_mode_active()) {
		batch_queue(ptep, val, cmd, (unsigned long)__builtin_return_address(0));
		return;
	}
	count(CNT_HYPERCALLS);
	apply(&(struct pt_update){__pa(ptep) | cmd, val});
}

static void deferred_set_pte(pte_t *ptep, pte_t pte)
{
	update(ptep, pte.v, PT_NORMAL);
}

static void deferred_ptep_modify(pte_t *ptep, pte_t old __unused, pte_t new)
{
	update(ptep, new.v, PT_PRESERVE_AD);
}

/*
 * In a section the clear is queued with its A and D bits kept: after the leave the entry, not
 * present any more, still holds what the CPU had set by then. That is the "clear and harvest" of
 * mm/zap.c.
 */
static pte_t deferred_ptep_get_and_clear(pte_t *ptep)
{
	pte_t old = *(volatile pte_t *)ptep;

	if (!is_lazy_mmu_mode_active()) {
		count(CNT_HYPERCALLS);
		return native_ptep_get_and_clear(ptep);
	}
	batch_queue(ptep, 0, PT_PRESERVE_AD, (unsigned long)__builtin_return_address(0));
	return old;
}

static void deferred_set_tables(const struct table_change *change, unsigned n)
{
	count(CNT_HYPERCALLS);
	native_set_tables(change, n);
}

void deferred_setup(void)
{
	pv_ops.name = "deferred";
	pv_queues_updates = true;
	pv_ops.mmu.set_pte = deferred_set_pte;
	pv_ops.mmu.ptep_get_and_clear = deferred_ptep_get_and_clear;
	pv_ops.mmu.ptep_modify = deferred_ptep_modify;
	pv_ops.mmu.set_tables = deferred_set_tables;
	pv_ops.mmu.issue = deferred_issue;
}
