/*
 * The queue; its contract is in batch.h.
 *
 * Coalescing is by a hash of the entry's address. Buckets are not cleared when a batch is issued: a
 * slot found there counts only if it is below n and its update hashes to this bucket, and then it
 * was put there in the current batch, because inserting into a bucket always sets its head.
 */
#include "pv/batch.h"

#include "kernel/backtrace.h"
#include "kernel/counters.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/preempt.h"
#include "kernel/printk.h"
#include "mm/addr.h"
#include "mm/tlb.h"

#define NO_SLOT 0xffff
#define PT_COMMAND_MASK 3UL

DEFINE_PER_CPU(struct batch, this_batch);
struct batch_refusal batch_refusal;
DEFINE_PER_CPU(u32, batch_histogram[BATCH_CAPACITY + 1]);

static u64 entry_ptr(const pte_t *ptep)
{
	pfn_t p = virt_to_pfn(ptep);

	return mfn_to_maddr(pfn_to_mfn(p)).v | ((vaddr_t)ptep & ~PAGE_MASK);
}

static unsigned bucket_of(u64 ptr)
{
	return ((ptr >> 3) ^ (ptr >> 13)) % BATCH_BUCKETS;
}

static unsigned bucket_head(const struct batch *b, unsigned bucket)
{
	unsigned slot = b->bucket[bucket];

	if (slot < b->n && bucket_of(b->update[slot].ptr) == bucket)
		return slot;
	return NO_SLOT;
}

/* The slot of the update of the entry at @ptr (command bits zero), or NO_SLOT. */
static unsigned find_slot(const struct batch *b, u64 ptr)
{
	unsigned slot = bucket_head(b, bucket_of(ptr));

	while (slot != NO_SLOT && (b->update[slot].ptr & ~PT_COMMAND_MASK) != ptr)
		slot = b->chain[slot];
	return slot;
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

static void append(struct batch *b, u64 ptr, u64 val, enum pt_command cmd)
{
	unsigned bucket = bucket_of(ptr), slot = b->n;

	b->chain[slot] = bucket_head(b, bucket);
	b->update[slot] = (struct pt_update){ptr | cmd, val};
	b->bucket[bucket] = slot;
	b->n++;
}

/* For interrupts' and switches' sake nobody may find a slot that is taken but not filled. */
void batch_queue(pte_t *ptep, u64 val, enum pt_command cmd, unsigned long caller)
{
	u64 ptr = entry_ptr(ptep);
	struct batch *b;
	unsigned slot;

	ASSERT(!in_interrupt());
	preempt_disable();
	b = this_cpu_ptr(this_batch);
	slot = find_slot(b, ptr);
	if (slot != NO_SLOT) {
		coalesce(&b->update[slot], val, cmd);
	} else {
		if (b->n == BATCH_CAPACITY)
			batch_flush();
		b->caller[b->n] = caller;
		append(b, ptr, val, cmd);
	}
	preempt_enable();
}

static bool is_empty(const struct batch *b)
{
	return !b->n && !b->flush.mm;
}

bool batch_is_empty(void)
{
	return is_empty(this_cpu_ptr(this_batch));
}

bool batch_is_pending(const pte_t *ptep)
{
	bool pending;

	preempt_disable();
	pending = find_slot(this_cpu_ptr(this_batch), entry_ptr(ptep)) != NO_SLOT;
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

/* The size that the histogram counts: updates, or, where they were not queued, pages invalidated.
 */
static unsigned batch_size(const struct batch *b)
{
	unsigned long pages = (b->flush.end - b->flush.start) / PAGE_SIZE;

	return b->n ? b->n : min(max(pages, 1UL), (unsigned long)BATCH_CAPACITY);
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
	if (!is_empty(b)) {
		count(CNT_BATCHES);
		per_cpu(batch_histogram, smp_processor_id())[batch_size(b)]++;
		pv_issue(b);
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

void batch_print(void)
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
