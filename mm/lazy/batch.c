/*
 * The queue; its contract is in batch.h.
 *
 * Each write looks whether its entry is queued already. The queue remembers the PTE pages that it
 * holds updates of, and for each of their entries the slot of its update. These slots are not
 * cleared when a batch is issued: one counts only if it is below n and its update names the entry.
 */
#include "mm/lazy/batch.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "mm/lazy/tlb.h"
#include "mm/types/addr.h"

DEFINE_PER_CPU(struct batch, this_batch);
const pte_t batch_none[PV_RUN_MAX];
struct batch_refusal batch_refusal;
DEFINE_PER_CPU(u32, batch_histogram[BATCH_CAPACITY + 1]);

static bool has_updates(const struct batch *b, const struct batch_table *t)
{
	for (unsigned i = 0; i < b->n; i++)
		if ((b->update[i].ptr & PAGE_MASK) == t->va + t->to_maddr)
			return true;
	return false;
}

/*
 * What is queued for a forgotten table could not be found any more: if there is something for each,
 * all is issued first.
 */
struct batch_table *batch_take_table(struct batch *b, const pte_t *ptep)
{
	struct batch_table *t = &b->table[b->next_table++ % BATCH_TABLES];

	if (has_updates(b, t))
		t = &b->table[b->next_table++ % BATCH_TABLES];
	if (has_updates(b, t))
		batch_flush();
	t->va = (vaddr_t)ptep & PAGE_MASK;
	t->to_maddr = mfn_to_maddr(pfn_to_mfn(virt_to_pfn(ptep))).v - t->va;
	return t;
}

/* One update that does what @old and then the new one would have done. */
static void coalesce(struct pt_update *old, u64 val, enum pt_command cmd)
{
	if (cmd == PT_PRESERVE_AD)
		val |= old->val & _PAGE_AD; /* what the older write would have left to preserve */
	else
		old->ptr &= ~PT_COMMAND_MASK;
	old->val = val;
	count(CNT_PTE_COALESCED);
}

void batch_put_slowly(struct batch *b, struct batch_table *t, struct pt_update u,
		      unsigned long caller)
{
	struct pt_update *old;

	old = batch_find_update(b, t, u.ptr);
	if (old) {
		coalesce(old, u.val, u.ptr & PT_COMMAND_MASK);
		return;
	}
	if (b->n == BATCH_CAPACITY)
		batch_flush();
	batch_append(b, t, u, caller);
}

static bool is_empty_batch(const struct batch *b)
{
	return !b->n && !b->flush.mm;
}

bool batch_is_empty(void)
{
	return is_empty_batch(this_cpu_ptr(this_batch));
}

bool batch_is_pending(const pte_t *ptep)
{
	struct batch_table *t;
	struct batch *b;
	bool pending;

	preempt_disable();
	b = this_cpu_ptr(this_batch);
	t = batch_find_table(b, ptep);
	pending = t && batch_find_update(b, t, batch_maddr(t, ptep));
	preempt_enable();
	return pending;
}

void batch_owe_flush(const struct tlb_flush *f)
{
	struct batch *b;

	preempt_disable();
	b = this_cpu_ptr(this_batch);
	if (b->flush.mm && b->flush.mm != f->mm)
		batch_flush();
	if (!b->flush.mm) {
		b->flush = *f;
	} else {
		b->flush.start = min(b->flush.start, f->start);
		b->flush.end = max(b->flush.end, f->end);
		b->flush.freed_tables |= f->freed_tables;
	}
	preempt_enable();
}

/*
 * The size that the histogram counts: updates, or, where they were not queued, pages invalidated.
 */
static unsigned batch_size(const struct batch *b)
{
	unsigned long pages = (b->flush.end - b->flush.start) / PAGE_SIZE;

	return b->n ? b->n : min(max(pages, 1UL), (unsigned long)BATCH_CAPACITY);
}

/* What the batch owes is in the trace as a flush of its own; its wait ends with the call. */
static void issue_traced(struct batch *b)
{
	trace(TRACE_BATCH, 0, 0, b->n);
	if (b->flush.mm)
		trace(TRACE_FLUSH, mm_context(b->flush.mm), b->flush.start, b->flush.end);
	pv_issue(b);
	if (b->flush.mm)
		trace(TRACE_FLUSH_END, 0, 0, 0);
	trace(TRACE_BATCH_END, 0, 0, 0);
}

/*
 * Updates first, then the invalidation: a CPU that reloads its TLB in between finds the new
 * entries. With interrupts on, because the invalidation waits for other CPUs.
 */
void batch_flush(void)
{
	struct batch *b;

	preempt_disable();
	b = this_cpu_ptr(this_batch);
	ASSERT(b == this_cpu_ptr(this_batch));
	if (!is_empty_batch(b)) {
		count(CNT_BATCHES);
		per_cpu(batch_histogram, smp_processor_id())[batch_size(b)]++;
		issue_traced(b);
		b->n = 0;
		b->flush.mm = NULL;
	}
	preempt_enable();
}

void batch_pay_flush(struct batch *b)
{
	if (b->flush.mm)
		tlb_flush_now(&b->flush);
}

static void __noreturn refused(const struct pt_update *u, long err, unsigned index, unsigned n,
			       unsigned long caller)
{
	char who[80];
	u64 maddr = u->ptr & ~7UL, p = mfn_to_pfn(maddr_to_mfn((maddr_t){maddr})).v;
	u64 now = *(const u64 *)__va(p << PAGE_SHIFT | (maddr & ~PAGE_MASK));

	symbol_name(caller, who, sizeof(who));
	panic("update %u of %u refused: error %ld, table pfn %#lx mfn %#lx entry %lu, is %#lx, new "
	      "%#lx, command %lu, by %s",
	      index, n, err, p, maddr >> PAGE_SHIFT, (maddr & ~PAGE_MASK) / 8, now, u->val,
	      u->ptr & PT_COMMAND_MASK, who);
}

void batch_check_applied_by(const struct pt_update *u, unsigned n, long err, unsigned done,
			    unsigned long caller)
{
	unsigned failed = min(done, n - 1);

	if (likely(!err && done == n))
		return;
	if (!batch_refusal.expected)
		refused(&u[failed], err, failed, n, caller);
	batch_refusal.seen++;
	batch_refusal.applied = done;
	batch_refusal.err = err;
}

void batch_check_applied(const struct pt_update *u, unsigned n, long err, unsigned done,
			 const unsigned long *callers)
{
	batch_check_applied_by(u, n, err, done, callers[min(done, n - 1)]);
}

static void report_batch(const struct panic_context *unused __unused)
{
	struct batch *b = this_cpu_ptr(this_batch);
	char who[80];

	printk("# queue: %u updates, invalidation %s %#lx-%#lx\n", b->n,
	       b->flush.mm ? "owed" : "not owed", b->flush.start, b->flush.end);
	for (unsigned i = 0; i < min(b->n, 8u); i++) {
		symbol_name(b->caller[i], who, sizeof(who));
		printk("#   [%u] maddr %#lx%s <- %#lx by %s\n", i,
		       b->update[i].ptr & ~PT_COMMAND_MASK,
		       b->update[i].ptr & PT_PRESERVE_AD ? " (keep A/D)" : "", b->update[i].val,
		       who);
	}
}
PANIC_REPORT(41, report_batch);

void batch_report_sizes(void)
{
	for (unsigned n = 1; n <= BATCH_CAPACITY; n++) {
		u64 sum = 0;

		for_each_online_cpu(cpu)
			sum += per_cpu(batch_histogram, cpu)[n];
		if (sum)
			printk("# batch %u %lu\n", n, sum);
	}
}
