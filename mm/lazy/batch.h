/*
 * The queue of a CPU: page-table updates that a lazy section has made and that no table holds yet,
 * and the TLB invalidation that it owes.
 *
 * One queue serves every backend; a backend supplies only pv_ops.mmu.issue. Entries have the format
 * of Xen's struct mmu_update: the machine address of the entry, with the command in its low bits,
 * and the value. Two writes of one entry coalesce into one.
 *
 * The queue is only ever touched by its own CPU, in task context, with preemption off. Interrupts
 * never queue (the mode is not active there), and a context switch issues it, so what is found in
 * it was queued by the current task.
 */
#pragma once

#include "kernel/arch/percpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/panic.h"
#include "mm/types/addr.h"
#include "mm/types/tlb_types.h"
#include "pv/pv_ops.h"

#define BATCH_CAPACITY 512 /* a section covers one PTE page */
#define BATCH_TABLES 2	   /* or, in fork and mremap, two */

/* Commands, in the low two bits of an update's address: Xen's public/xen.h. */
enum pt_command {
	PT_NORMAL = 0,	    /* store the value */
	PT_PRESERVE_AD = 2, /* store it, keeping A and D as the CPU left them */
};
#define PT_COMMAND_MASK 3UL

struct pt_update {
	u64 ptr;
	u64 val;
};

/* A PTE page that the batch may hold updates of. */
struct batch_table {
	vaddr_t va;		  /* in the direct map */
	u64 to_maddr;		  /* from the address of an entry to its machine address */
	u16 slot[PTRS_PER_TABLE]; /* where an entry's update is, if there is one */
};

struct batch {
	unsigned n;
	struct pt_update update[BATCH_CAPACITY];
	struct tlb_flush flush; /* flush.mm == NULL: none is owed */
	struct batch_table table[BATCH_TABLES];
	unsigned next_table;
	unsigned long caller[BATCH_CAPACITY]; /* who queued it, for reports */
};

DECLARE_PER_CPU(struct batch, this_batch);

/* What the entries of a run become that is cleared. */
extern const pte_t batch_none[PV_RUN_MAX];

/* Tests: while one is expected, a refused update is recorded here instead of being a panic. */
struct batch_refusal {
	bool expected;
	unsigned seen;
	unsigned applied; /* updates of the call before the refused one */
	long err;
	u64 nth; /* of the software hypervisor: the nth update from now on is refused; 0: none */
};
extern struct batch_refusal batch_refusal;
DECLARE_PER_CPU(u32, batch_histogram[BATCH_CAPACITY + 1]);

/* --- queueing, for backends --- */

/* Of an entry in its table, by its address, virtual or machine's; a command's bits lie below. */
static inline unsigned batch_index(u64 ptr)
{
	return (ptr & ~PAGE_MASK) / sizeof(pte_t);
}

/* By pointers: with an index the compiler computes addresses again for each update. */
static inline struct batch_table *batch_find_table(struct batch *b, const pte_t *ptep)
{
	vaddr_t va = (vaddr_t)ptep & PAGE_MASK;

	for (struct batch_table *t = b->table; t < b->table + BATCH_TABLES; t++)
		if (t->va == va)
			return t;
	return NULL;
}

static inline u64 batch_maddr(const struct batch_table *t, const pte_t *ptep)
{
	return (vaddr_t)ptep + t->to_maddr;
}

/* The update of the entry of @t with machine address @ptr, whatever its command; NULL: none is queued. */
static inline struct pt_update *batch_find_update(struct batch *b, const struct batch_table *t,
						  u64 ptr)
{
	unsigned slot = t->slot[batch_index(ptr)];

	if (slot < b->n && !((b->update[slot].ptr ^ ptr) & ~PT_COMMAND_MASK))
		return &b->update[slot];
	return NULL;
}

/* For interrupts' and switches' sake nobody may find a slot that is taken but not filled. */
static inline void batch_append(struct batch *b, struct batch_table *t, struct pt_update u,
				unsigned long caller)
{
	unsigned n = b->n;

	t->slot[batch_index(u.ptr)] = n;
	b->update[n] = u;
	b->caller[n] = caller;
	b->n = n + 1;
}

/* Forget a table for that of @ptep; issues if there are updates of all of them. */
struct batch_table *batch_take_table(struct batch *b, const pte_t *ptep);
/* All that is not the common case: an entry that is queued already, no room. */
void batch_put_slowly(struct batch *b, struct batch_table *t, struct pt_update u,
		      unsigned long caller);

/* Queue @u, of an entry of @t. The common case is an update's cost beside the hypervisor's. */
static __always_inline void batch_put(struct batch *b, struct batch_table *t, struct pt_update u,
				      unsigned long caller)
{
	if (unlikely(b->n == BATCH_CAPACITY || batch_find_update(b, t, u.ptr)))
		batch_put_slowly(b, t, u, caller);
	else
		batch_append(b, t, u, caller);
}

/*
 * Queue @pte[i] for @ptep[i], all in one table, on behalf of @caller; issues when there is no room.
 */
static __always_inline void batch_queue(pte_t *ptep, const pte_t *pte, unsigned n,
					enum pt_command cmd, unsigned long caller)
{
	struct batch_table *t;
	struct batch *b;

	ASSERT(!in_interrupt());
	preempt_disable();
	b = this_cpu_ptr(this_batch);
	t = batch_find_table(b, ptep) ?: batch_take_table(b, ptep);
	for (unsigned i = 0; i < n; i++)
		batch_put(b, t, (struct pt_update){batch_maddr(t, ptep + i) | cmd, pte[i].v},
			  caller);
	preempt_enable();
}

/* For backends that invalidate by other means than the call that makes the updates. */
void batch_pay_flush(struct batch *b);
/*
 * All of @n updates must have been applied: the call returned @err and counted @done. A refused one
 * is a bug of the kernel and panics, unless a test expects it. @callers: who made each.
 */
void batch_check_applied(const struct pt_update *u, unsigned n, long err, unsigned done,
			 const unsigned long *callers);
/* The same, where @caller made them all. */
void batch_check_applied_by(const struct pt_update *u, unsigned n, long err, unsigned done,
			    unsigned long caller);
/* Print how many batches of each size all CPUs have issued. */
void batch_report_sizes(void);
