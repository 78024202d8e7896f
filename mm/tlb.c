/*
 * TLB state and shootdown; the contract is in tlb.h.
 *
 * What makes skipping a CPU safe, in each case: the flusher raises the generation and then looks at
 * the CPU; the CPU makes itself visible (its bit in mm->tlb.cpus, or lazy = false) and then reads
 * the generation, with a full barrier between on both sides. So either the flusher sees the CPU or
 * the CPU sees the generation.
 *
 * cpu_tlb belongs to its CPU, with preemption off (an interrupt changes it only for an mm that has
 * no users any more, or that is not in use here); `lazy` is read by flushers.
 */
#include "mm/tlb.h"

#include "kernel/counters.h"
#include "kernel/cpu.h"
#include "kernel/interrupt.h"
#include "kernel/panic.h"
#include "kernel/seeded.h"
#include "kernel/trace.h"
#include "mm/asid.h"
#include "mm/lazy_mmu.h"
#include "mm/owed.h"
#include "mm/page.h"

struct cpu_tlb {
	struct mm *mm; /* loaded */
	bool lazy;     /* loaded but not in use */
	struct asid_set asids;
};
static DEFINE_PER_CPU(struct cpu_tlb, cpu_tlb);

static u64 next_context = 1;

void tlb_init_mm(struct mm *mm)
{
	mm->tlb.context = __atomic_fetch_add(&next_context, 1, __ATOMIC_RELAXED);
	mm->tlb.generation.v = 1;
}

void tlb_init_cpu(void)
{
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);

	c->mm = &init_mm;
	c->lazy = true;
	asid_init(&c->asids, cpu_features.pcid ? NR_ASIDS : 1);
}

static void load(struct cpu_tlb *c, struct mm *next)
{
	struct mm *prev = c->mm;
	u64 generation;
	bool flush;

	/* An interrupt meant for prev is harmless by now: this CPU has interrupts off. */
	WRITE_ONCE(c->lazy, false);
	cpumask_set(&next->tlb.cpus, smp_processor_id()); /* a full barrier */
	generation = READ_ONCE(next->tlb.generation.v);
	flush = asid_choose(&c->asids, next->tlb.context, generation);
	if (flush)
		count(CNT_TLB_GENERATION_FLUSHES);
	c->mm = next;
	pv_load_pgd(next, virt_to_pfn(next->pgd), c->asids.active, flush);
	cpumask_clear(&prev->tlb.cpus, smp_processor_id());
}

static void flush_local(struct cpu_tlb *c, u64 generation)
{
	pv_flush_tlb_local();
	c->asids.slot[c->asids.active].generation = generation;
}

static void leave_lazy(struct cpu_tlb *c)
{
	u64 generation;

	WRITE_ONCE(c->lazy, false);
	smp_mb();
	generation = READ_ONCE(c->mm->tlb.generation.v);
	if (c->asids.slot[c->asids.active].generation != generation) {
		count(CNT_TLB_GENERATION_FLUSHES);
		flush_local(c, generation);
	}
}

void switch_mm(struct mm *next)
{
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);

	ASSERT(irqs_disabled());
	if (!next)
		WRITE_ONCE(c->lazy, true);
	else if (c->mm != next)
		load(c, next);
	else if (c->lazy)
		leave_lazy(c);
}

/* Nothing of the mm's tables may stay in this CPU, not even in the caches of its page walks. */
static void load_kernel_tables(struct cpu_tlb *c)
{
	load(c, &init_mm);
	WRITE_ONCE(c->lazy, true);
}

/* Bring this CPU's TLB up to date with @arg; interrupts are off. */
static void flush_on_this_cpu(void *arg)
{
	const struct tlb_flush *f = arg;
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);
	u64 *followed = &c->asids.slot[c->asids.active].generation;
	u64 generation;

	if (c->mm == f->mm && c->lazy && f->freed_tables)
		load_kernel_tables(c);
	if (c->mm != f->mm || c->lazy)
		return; /* it will see the generation when it comes back to this mm */
	generation = READ_ONCE(f->mm->tlb.generation.v);
	if (*followed >= f->generation)
		return; /* a later, whole flush has covered it */
	if (f->generation != *followed + 1 || generation != f->generation ||
	    f->end == TLB_FLUSH_ALL || f->end - f->start > TLB_FLUSH_CEILING * PAGE_SIZE) {
		flush_local(c, generation);
		return;
	}
	for (unsigned long addr = f->start; addr < f->end; addr += PAGE_SIZE)
		pv_flush_tlb_one(addr);
	*followed = f->generation;
}

u64 tlb_new_generation(struct mm *mm)
{
	return __atomic_add_fetch(&mm->tlb.generation.v, 1, __ATOMIC_SEQ_CST);
}

/*
 * Those that have the mm loaded and in use; and where tables are about to be freed, those that only
 * have it loaded too, because they may still walk it speculatively.
 */
bool tlb_cpus_concerned(const struct tlb_flush *f, cpumask_t *cpus)
{
	bool any = false;

	*cpus = (cpumask_t){0};
	for_each_cpu_in(cpu, &f->mm->tlb.cpus) {
		if (READ_ONCE(per_cpu(cpu_tlb, cpu).lazy) && !f->freed_tables)
			continue;
		cpus->bits[cpu / 64] |= BIT(cpu % 64);
		any = true;
	}
	return any;
}

void tlb_flush_by_call(struct tlb_flush *f)
{
	unsigned long flags;
	cpumask_t cpus;

	if (seeded(BUG_CPUS_TOO_EARLY)) {
		tlb_cpus_concerned(f, &cpus);
		for (unsigned i = 0; i < 20; i++)
			cpu_relax();
	}
	f->generation = tlb_new_generation(f->mm);
	flags = local_irq_save();
	flush_on_this_cpu(f);
	local_irq_restore(flags);
	if (!seeded(BUG_CPUS_TOO_EARLY))
		tlb_cpus_concerned(f, &cpus);
	cpus.bits[smp_processor_id() / 64] &= ~BIT(smp_processor_id() % 64);
	if (cpumask_weight(&cpus)) {
		count(CNT_SHOOTDOWNS);
		if (seeded(BUG_FLUSH_ONLY_HERE))
			return;
		smp_call_mask(&cpus, flush_on_this_cpu, f);
	}
	owed_settle(f);
}

u64 tlb_followed_here(const struct mm *mm)
{
	const struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);

	return c->mm == mm ? c->asids.slot[c->asids.active].generation : 0;
}

void tlb_follow_here(const struct mm *mm, u64 generation)
{
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);

	if (c->mm == mm)
		c->asids.slot[c->asids.active].generation = generation;
}

void tlb_flush_now(struct tlb_flush *f)
{
	count(CNT_TLB_FLUSHES);
	pv_flush_tlb(f);
}

static void flush_or_owe(struct tlb_flush *f)
{
	preempt_point();
	if (is_lazy_mmu_mode_active()) {
		trace(TRACE_OWE, f->mm, f->start, f->end);
		batch_owe_flush(f);
		return;
	}
	trace(TRACE_FLUSH, f->mm, f->start, f->end);
	preempt_disable();
	tlb_flush_now(f);
	preempt_enable();
}

void flush_tlb_range(struct mm *mm, unsigned long start, unsigned long end)
{
	flush_or_owe(&(struct tlb_flush){.mm = mm, .start = start, .end = end});
}

void flush_tlb_tables(struct mm *mm, unsigned long start, unsigned long end)
{
	flush_or_owe(
		&(struct tlb_flush){.mm = mm, .start = start, .end = end, .freed_tables = true});
}

void flush_tlb_page(struct mm *mm, unsigned long addr)
{
	flush_tlb_range(mm, addr, addr + PAGE_SIZE);
}

void flush_tlb_mm(struct mm *mm)
{
	flush_tlb_range(mm, 0, TLB_FLUSH_ALL);
}

static void evict_on_this_cpu(void *arg)
{
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);

	if (c->mm != arg)
		return;
	BUG_ON(!c->lazy);
	load_kernel_tables(c);
}

void tlb_evict_mm(struct mm *mm)
{
	unsigned long flags;

	preempt_disable();
	flags = local_irq_save();
	evict_on_this_cpu(mm);
	local_irq_restore(flags);
	smp_call_mask(&mm->tlb.cpus, evict_on_this_cpu, mm);
	preempt_enable();
	BUG_ON(cpumask_weight(&mm->tlb.cpus));
	owed_forget(mm);
}
