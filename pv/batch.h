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

#include "kernel/percpu.h"
#include "mm/tlb_types.h"
#include "pv/pv_ops.h"

#define BATCH_CAPACITY 512 /* a section covers one PTE page */
#define BATCH_TABLES 2	   /* or, in fork and mremap, two */

/* Commands, in the low two bits of an update's address: Xen's public/xen.h. */
enum pt_command {
	PT_NORMAL = 0,	    /* store the value */
	PT_PRESERVE_AD = 2, /* store it, keeping A and D as the CPU left them */
};

struct pt_update {
	u64 ptr;
	u64 val;
};

/* A PTE page that the batch may hold updates of. */
struct batch_table {
	vaddr_t va; /* in the direct map */
	u64 maddr;
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

/* Queue @val for @ptep, on behalf of @caller; issues first if there is no room. For backends. */
void batch_queue(pte_t *ptep, u64 val, enum pt_command cmd, unsigned long caller);
/* For backends that invalidate by other means than the call that makes the updates. */
void batch_pay_flush(struct batch *b);
/*
 * All of @n updates must have been applied: the call returned @err and counted @done. A refused one
 * is a bug of the kernel and panics, unless a test expects it. @callers: who made each, or @n times
 * the first.
 */
void batch_check_applied(const struct pt_update *u, unsigned n, long err, unsigned done,
			 const unsigned long *callers, bool each);
/* For a panic. */
void batch_print(void);
