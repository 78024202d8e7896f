/*
 * Xen PV: TLB invalidations, by hypercalls that reach other vCPUs' TLBs too, so that nobody is
 * interrupted who does not run. Source: Xen's public/xen.h (mmuext_op).
 *
 * The flush goes in the multicall of the updates, so the vCPUs concerned must be known before them.
 * One that begins to use the mm afterwards may have loaded an old entry: so when the updates are
 * visible the generation is raised, the vCPUs are looked at again (mm/lazy/tlb.h), and those that
 * came meanwhile are flushed too.
 */
#include "mm/frame/owed.h"
#include "mm/lazy/tlb.h"
#include "pv/xen/xen.h"

static bool is_one_page(const struct tlb_flush *f)
{
	return f->end - f->start == PAGE_SIZE && !f->freed_tables;
}

/* A single page's invalidation must be all that is owed; a local one, no other vCPU's. */
static void assert_covers(const struct mmuext_op *op, const struct tlb_flush *f,
			  const cpumask_t *cpus)
{
	if (op->cmd == MMUEXT_INVLPG_LOCAL || op->cmd == MMUEXT_INVLPG_MULTI)
		ASSERT(op->arg1.linear_addr == f->start && f->end == f->start + PAGE_SIZE &&
		       !f->freed_tables);
	if (op->cmd == MMUEXT_INVLPG_LOCAL || op->cmd == MMUEXT_TLB_FLUSH_LOCAL)
		ASSERT(!cpumask_has_others(cpus, smp_processor_id()));
	else
		ASSERT(op->arg2.vcpumask.p == cpus->bits);
}

/* In @op: invalidate @f on @cpus. A range costs a flush of everything: Xen knows single pages only. */
static void make_flush_op(struct mmuext_op *op, const struct tlb_flush *f, const cpumask_t *cpus)
{
	bool others = cpumask_has_others(cpus, smp_processor_id());

	if (is_one_page(f)) {
		op->cmd = others ? MMUEXT_INVLPG_MULTI : MMUEXT_INVLPG_LOCAL;
		op->arg1.linear_addr = f->start;
	} else {
		op->cmd = others ? MMUEXT_TLB_FLUSH_MULTI : MMUEXT_TLB_FLUSH_LOCAL;
	}
	if (others) {
		count(CNT_SHOOTDOWNS);
		set_xen_guest_handle(op->arg2.vcpumask, cpus->bits);
	}
	assert_covers(op, f, cpus);
}

bool xen_flush_prepare(struct xen_flush *x, struct tlb_flush *f)
{
	x->f = f;
	x->generation = READ_ONCE(f->mm->tlb.generation.v);
	x->any = tlb_cpus_concerned(f, &x->cpus);
	if (x->any)
		make_flush_op(&x->op, f, &x->cpus);
	return x->any;
}

bool xen_flush_is_here(const struct xen_flush *x)
{
	return x->op.cmd == MMUEXT_INVLPG_LOCAL;
}

/*
 * What this vCPU's TLB has followed by now. A whole flush covers all that was invalidated before
 * it; and this invalidation too, which has the number @mine, unless another one got in between.
 */
static void xen_follow(const struct xen_flush *x, u64 mine)
{
	struct mm *mm = x->f->mm;
	u64 followed = is_one_page(x->f) ? tlb_followed_here(mm) : x->generation;

	tlb_follow_here(mm, mine == followed + 1 ? mine : followed);
}

/* The mm is loaded on a vCPU that was not concerned: it has come, or does not use the mm. */
static bool may_have_come(const struct xen_flush *x)
{
	return cpumask_has_more(&x->f->mm->tlb.cpus, &x->cpus);
}

static __noinline void flush_latecomers(const struct xen_flush *x)
{
	struct mmuext_op op;
	cpumask_t cpus;

	tlb_cpus_concerned(x->f, &cpus);
	for (unsigned i = 0; i < ARRAY_SIZE(cpus.bits); i++)
		cpus.bits[i] &= ~x->cpus.bits[i];
	if (!cpumask_weight(&cpus))
		return;
	count(CNT_LATE_FLUSHES);
	make_flush_op(&op, x->f, &cpus);
	xen_check("a TLB flush", xen_mmuext_op(&op, 1));
}

void xen_flush_complete(struct xen_flush *x, long err)
{
	u64 generation;

	if (unlikely(x->any && err))
		xen_check("a TLB flush", err);
	generation = tlb_new_generation(x->f->mm);
	if (cpumask_test(&x->cpus, smp_processor_id()))
		xen_follow(x, generation);
	if (unlikely(may_have_come(x)))
		flush_latecomers(x);
	owed_settle(x->f);
}

static void xen_flush_tlb(struct tlb_flush *f)
{
	struct xen_flush x;

	xen_flush_complete(&x, xen_flush_prepare(&x, f) ? xen_mmuext_op(&x.op, 1) : 0);
}

static void xen_flush_tlb_local(void)
{
	xen_check("a TLB flush",
		  xen_mmuext_op(&(struct mmuext_op){.cmd = MMUEXT_TLB_FLUSH_LOCAL}, 1));
}

static void xen_flush_tlb_one(unsigned long addr)
{
	struct mmuext_op op = {.cmd = MMUEXT_INVLPG_LOCAL, .arg1.linear_addr = addr};

	xen_check("a TLB flush", xen_mmuext_op(&op, 1));
}

void xen_tlb_setup(void)
{
	pv_ops.mmu.flush_tlb = xen_flush_tlb;
	pv_ops.mmu.flush_tlb_local = xen_flush_tlb_local;
	pv_ops.mmu.flush_tlb_one = xen_flush_tlb_one;
}
