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
#include "mm/lazy/tlb.h"

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/time/clock.h"
#include "mm/frame/owed.h"
#include "mm/frame/page.h"
#include "mm/lazy/asid.h"
#include "mm/lazy/lazy_mmu.h"

struct cpu_tlb {
	struct mm *mm; /* loaded */
	bool lazy;     /* loaded but not in use */
	struct asid_set asids;
	/*
	 * With flush=exact, of the active address space: bit n says that the invalidation which
	 * makes the generation n + 1 after the one that is followed has been made already.
	 */
	u64 ahead;
#ifdef CONFIG_DEBUG
	/* What this CPU has really invalidated since the last begin_witness(). */
	struct {
		unsigned long start, end; /* page by page, upwards */
		bool whole;
	} witness;
#endif
};
static DEFINE_PER_CPU(struct cpu_tlb, cpu_tlb);

bool tlb_flush_exact;

static u64 next_context = 1;

/* --- invalidations of this CPU, and the witness of debug builds, which sees each of them --- */

#ifdef CONFIG_DEBUG

static void begin_witness(struct cpu_tlb *c)
{
	c->witness.start = c->witness.end = 0;
	c->witness.whole = false;
}

static void see_page(struct cpu_tlb *c, unsigned long addr)
{
	if (addr != c->witness.end)
		c->witness.start = addr;
	c->witness.end = addr + PAGE_SIZE;
}

static void see_whole(struct cpu_tlb *c)
{
	c->witness.whole = true;
}

/* What this CPU now claims to have followed it has: @f, or everything. */
static void assert_seen(const struct cpu_tlb *c, const struct tlb_flush *f)
{
	if (!c->witness.whole && (c->witness.start > f->start || c->witness.end < f->end))
		panic("the invalidation of %#lx-%#lx has reached %#lx-%#lx only", f->start, f->end,
		      c->witness.start, c->witness.end);
}

#else
static void begin_witness(struct cpu_tlb *c __unused) {}
static void see_page(struct cpu_tlb *c __unused, unsigned long addr __unused) {}
static void see_whole(struct cpu_tlb *c __unused) {}
static void assert_seen(const struct cpu_tlb *c __unused, const struct tlb_flush *f __unused) {}
#endif

static void flush_page(struct cpu_tlb *c, unsigned long addr)
{
	pv_flush_tlb_one(addr);
	see_page(c, addr);
}

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
	c->ahead = 0;
	pv_load_pgd(next, virt_to_pfn(next->pgd), c->asids.active, flush);
	cpumask_clear(&prev->tlb.cpus, smp_processor_id());
}

static void flush_local(struct cpu_tlb *c, u64 generation)
{
	pv_flush_tlb_local();
	see_whole(c);
	c->ahead = 0;
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

static u64 *followed_by(struct cpu_tlb *c)
{
	return &c->asids.slot[c->asids.active].generation;
}

/*
 * The invalidation that makes @generation has been made here; those before it may still come, with
 * flush=exact. What is followed is what was made without a gap.
 */
static void follow_made(struct cpu_tlb *c, u64 generation)
{
	u64 *followed = followed_by(c);

	c->ahead |= BIT(generation - *followed - 1);
	for (; c->ahead & 1; c->ahead >>= 1)
		++*followed;
}

/*
 * Whether a whole flush is made instead of that of a range: it covers what others have begun
 * meanwhile, too.
 */
static bool is_better_whole(const struct tlb_flush *f, u64 followed, u64 generation)
{
	unsigned long pages = (f->end - f->start) / PAGE_SIZE; /* many, if it is everything */

	if (tlb_flush_exact)
		return pages > TLB_FLUSH_EXACT_CEILING || f->generation - followed > 64;
	return f->generation != followed + 1 || generation != f->generation ||
	       pages > TLB_FLUSH_CEILING;
}

/* Bring this CPU's TLB up to date with @arg; interrupts are off. */
static void flush_on_this_cpu(void *arg)
{
	const struct tlb_flush *f = arg;
	struct cpu_tlb *c = this_cpu_ptr(cpu_tlb);
	u64 generation;

	if (c->mm == f->mm && c->lazy && f->freed_tables)
		load_kernel_tables(c);
	if (c->mm != f->mm || c->lazy)
		return; /* it will see the generation when it comes back to this mm */
	generation = READ_ONCE(f->mm->tlb.generation.v);
	if (*followed_by(c) >= f->generation)
		return; /* a later, whole flush has covered it */
	begin_witness(c);
	if (is_better_whole(f, *followed_by(c), generation)) {
		flush_local(c, generation);
	} else {
		for (unsigned long addr = f->start; addr < f->end; addr += PAGE_SIZE)
			flush_page(c, addr);
		follow_made(c, f->generation);
	}
	assert_seen(c, f);
}

u64 tlb_new_generation(struct mm *mm)
{
	return __atomic_add_fetch(&mm->tlb.generation.v, 1, __ATOMIC_SEQ_CST);
}

/* Of the CPUs @cpus, from @first on, those that do not use what they have loaded. */
static u64 lazy_ones(u64 cpus, unsigned first)
{
	u64 lazy = 0;

	for (; cpus; cpus &= cpus - 1)
		if (READ_ONCE(per_cpu(cpu_tlb, first + __builtin_ctzll(cpus)).lazy))
			lazy |= cpus & -cpus;
	return lazy;
}

/*
 * Those that have the mm loaded and in use; and where tables are about to be freed, those that only
 * have it loaded too, because they may still walk it speculatively.
 */
bool tlb_cpus_concerned(const struct tlb_flush *f, cpumask_t *cpus)
{
	u64 any = 0;

	/* Most of the words are empty. */
#pragma GCC unroll 4
	for (unsigned i = 0; i < ARRAY_SIZE(cpus->bits); i++) {
		u64 word = READ_ONCE(f->mm->tlb.cpus.bits[i]);

		if (unlikely(word) && !f->freed_tables)
			word &= ~lazy_ones(word, i * 64);
		cpus->bits[i] = word;
		any |= word;
	}
	return any;
}

#ifdef CONFIG_DEBUG
/* A CPU that comes back takes some instructions to catch up, and its host may stop it there. */
#define LATE_NS 2000000000UL

/* @cpu uses the mm, and has not followed the invalidation. */
static bool is_behind(unsigned cpu, const struct tlb_flush *f)
{
	const struct cpu_tlb *c = per_cpu_ptr(cpu_tlb, cpu);
	u64 followed = READ_ONCE(c->asids.slot[c->asids.active].generation);

	if (READ_ONCE(c->mm) != f->mm || READ_ONCE(c->lazy) || followed >= f->generation)
		return false;
	return followed + 64 < f->generation ||
	       !(READ_ONCE(c->ahead) & BIT(f->generation - followed - 1));
}

static void await_follower(unsigned cpu, const struct tlb_flush *f)
{
	u64 end = 0;

	while (is_behind(cpu, f)) {
		u64 now = clock_ns();

		if (!end)
			end = now + LATE_NS;
		if (now > end)
			panic("cpu %u has not made the invalidation of %#lx-%#lx", cpu, f->start,
			      f->end);
		cpu_relax();
	}
}

/* Whoever uses the mm has made the invalidation; who comes back just now, makes it. */
static void assert_followed(const struct tlb_flush *f)
{
	for_each_cpu_in(cpu, &f->mm->tlb.cpus)
		await_follower(cpu, f);
}
#else
static void assert_followed(const struct tlb_flush *f __unused) {}
#endif

/* tlb_cpus_concerned() without this CPU, and cheap where no other has the mm loaded. */
static bool others_concerned(const struct tlb_flush *f, cpumask_t *cpus)
{
	const unsigned here = smp_processor_id();

	if (!cpumask_has_others(&f->mm->tlb.cpus, here))
		return false;
	tlb_cpus_concerned(f, cpus);
	cpus->bits[here / 64] &= ~BIT(here % 64);
	return cpumask_weight(cpus);
}

void tlb_flush_by_call(struct tlb_flush *f)
{
	unsigned long flags;
	cpumask_t cpus;

	f->generation = tlb_new_generation(f->mm);
	flags = local_irq_save();
	flush_on_this_cpu(f);
	local_irq_restore(flags);
	if (others_concerned(f, &cpus)) {
		count(CNT_SHOOTDOWNS);
		smp_call_mask(&cpus, flush_on_this_cpu, f);
	}
	assert_followed(f);
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

	if (c->mm != mm)
		return;
	c->asids.slot[c->asids.active].generation = generation;
	c->ahead = 0;
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
		trace(TRACE_OWE, mm_context(f->mm), f->start, f->end);
		batch_owe_flush(f);
		return;
	}
	trace(TRACE_FLUSH, mm_context(f->mm), f->start, f->end);
	preempt_disable();
	tlb_flush_now(f);
	trace(TRACE_FLUSH_END, 0, 0, 0);
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
