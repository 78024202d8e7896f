/*
 * Suite `costs`: what the range functions cost, in instructions and in calls of the hypervisor.
 *
 * Each operation works on the touched pages of one PTE page, several times over; the median is
 * printed, one machine-readable line each, for tests/harness/bench.py. Under -icount, with one CPU,
 * the time-stamp counter counts instructions (at 1 GHz and shift 0), the hypervisor's own included.
 * It fails only where an operation does; the figures are judged by tests/system/test_bench.py.
 *
 * Not analysed: the section alone, under a lock that the caller has taken.
 */
#include "kernel/arch/io.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/sched.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/space/mmap.h"
#include "tests/bench/meter.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define AREA (0x40000000UL) /* one PTE page */
#define TARGET (0x80000000UL)
#define PAGES PTRS_PER_TABLE
#define LEN (PAGES * PAGE_SIZE)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define REPEATS 5

static const enum counter reported[] = {
	CNT_HYPERCALLS, CNT_MMU_UPDATES, CNT_MMU_UPDATE_ENTRIES, CNT_TABLE_UPDATES,
	CNT_MULTICALLS, CNT_TLB_FLUSHES, CNT_EMULATED_WRITES,
};
#define NR_REPORTED ARRAY_SIZE(reported)

struct cost {
	u64 instructions;
	u64 count[NR_REPORTED];
};

static struct mm *child;

static long map_area(void)
{
	return do_mmap(AREA, LEN, RW, ANON, NULL, 0);
}

static long touch(void)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (put_user32(AREA + i * PAGE_SIZE, i))
			return -1;
	return 0;
}

static long read_touch(void)
{
	u32 v;

	for (unsigned i = 0; i < PAGES; i++)
		if (get_user32(AREA + i * PAGE_SIZE, &v))
			return -1;
	return 0;
}

static long touched(void)
{
	long ret = map_area();

	return ret < 0 ? ret : touch();
}

static long read_only(void)
{
	return touched() ?: do_mprotect(AREA, LEN, PROT_READ);
}

static long protect(void)
{
	return do_mprotect(AREA, LEN, PROT_READ);
}

static long unprotect(void)
{
	return do_mprotect(AREA, LEN, RW);
}

static long unmap(void)
{
	return do_munmap(AREA, LEN);
}

static long discard(void)
{
	return do_madvise(AREA, LEN, MADV_DONTNEED);
}

static long move(void)
{
	return do_mremap(AREA, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, TARGET) < 0;
}

static long populate(void)
{
	return do_madvise(AREA, LEN, MADV_POPULATE_WRITE);
}

static long fork_area(void)
{
	child = mm_fork(current->mm);
	return child == NULL;
}

static long forked(void)
{
	return touched() ?: fork_area();
}

static long reuse_ready(void)
{
	long ret = forked();

	mm_put(child);
	child = NULL;
	return ret;
}

static long drop_child(void)
{
	mm_put(child);
	child = NULL;
	return 0;
}

static const struct operation {
	const char *name;
	long (*prepare)(void), (*measured)(void);
} operations[] = {
	{"touch", map_area, touch},
	{"read_touch", map_area, read_touch},
	{"cow_copy", forked, touch},
	{"cow_reuse", reuse_ready, touch},
	{"mprotect_rw_r", touched, protect},
	{"mprotect_r_rw", read_only, unprotect},
	{"munmap", touched, unmap},
	{"dontneed", touched, discard},
	{"mremap", touched, move},
	{"fork", touched, fork_area},
	{"exit_of_child", forked, drop_child},
	{"populate", map_area, populate},
};

static void read_counters(u64 *count)
{
	for (unsigned i = 0; i < NR_REPORTED; i++)
		count[i] = this_cpu_ptr(cpu_counters)[0][reported[i]];
}

static long measure(long (*fn)(void), struct cost *c)
{
	u64 before[NR_REPORTED], start;
	long ret;

	read_counters(before);
	start = rdtsc();
	ret = fn();
	c->instructions = rdtsc() - start;
	read_counters(c->count);
	for (unsigned i = 0; i < NR_REPORTED; i++)
		c->count[i] -= before[i];
	return ret;
}

/* By instructions; few enough for the simplest sort. */
static struct cost median(struct cost *c)
{
	for (unsigned i = 0; i < REPEATS; i++)
		for (unsigned k = i + 1; k < REPEATS; k++)
			if (c[k].instructions < c[i].instructions) {
				struct cost x = c[i];

				c[i] = c[k];
				c[k] = x;
			}
	return c[REPEATS / 2];
}

static void report(const char *kind, const char *name, unsigned size, const struct cost *c)
{
	printk("# %s %s pages=%u instructions=%lu hypercalls=%lu mmu_updates=%lu entries=%lu "
	       "table_updates=%lu multicalls=%lu flushes=%lu emulated=%lu\n",
	       kind, name, size, c->instructions, c->count[0], c->count[1], c->count[2],
	       c->count[3], c->count[4], c->count[5], c->count[6]);
}

#ifdef CONFIG_METER
/* What an operation made this CPU do, for its floor. */
static void report_done(const char *name, const struct meter_counts *before)
{
	struct meter_counts now;

	meter_read(&now);
	printk("# done %s pages=%u faults=%lu copies=%lu hypervisor=%lu\n", name, (unsigned)PAGES,
	       now.faults - before->faults, now.copies - before->copies,
	       now.hypervisor - before->hypervisor);
}

static long measure_metered(const struct operation *op, struct cost *c)
{
	struct meter_counts before;
	long ret;

	meter_read(&before);
	ret = measure(op->measured, c);
	report_done(op->name, &before);
	return ret;
}
#else
static long measure_metered(const struct operation *op, struct cost *c)
{
	return measure(op->measured, c);
}
static void meter_report_parts(void) {}
#endif

static void measure_operation(struct ktest *t, const struct operation *op)
{
	struct cost cost[REPEATS], result;

	for (unsigned i = 0; i < REPEATS; i++) {
		struct mm *mm = test_mm_enter();

		KEXPECT(t, op->prepare() >= 0);
		KEXPECT_EQ(t, measure_metered(op, &cost[i]), 0);
		if (child)
			drop_child();
		test_mm_leave(mm);
	}
	result = median(cost);
	report("cost", op->name, PAGES, &result);
}

/* One CPU, and no timer interrupts: what they cost is nobody's. False: the case is skipped. */
static bool quiet(struct ktest *t)
{
	if (cpumask_weight(&cpu_online_mask) != 1) {
		ktest_skip(t, "it takes one CPU to count what one operation costs");
		return false;
	}
	sched_tune((struct sched_tuning){.quantum_us = 100000000});
	sched_yield(); /* the timer that is set already goes off */
	return true;
}

static void range_functions(struct ktest *t)
{
	if (!quiet(t))
		return;
	meter_report_parts();
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++)
		measure_operation(t, &operations[i]);
	sched_tune(SCHED_TUNING_DEFAULT);
}

/* --- the bare section --- */

static pte_t *section_table;
static unsigned section_size;

/* The smallest section that is one: write-protect the entries, owe nothing. */
static long section(void) __no_thread_safety
{
	lazy_mmu_state_t s = arch_enter_lazy_mmu_mode();

	for (unsigned i = 0; i < section_size; i++) {
		pte_t old = ptep_get(section_table + i);

		ptep_modify_prot_commit(current->mm, AREA + i * PAGE_SIZE, section_table + i,
					pte_wrprotect(old));
	}
	arch_leave_lazy_mmu_mode(s);
	return 0;
}

static void section_sizes(struct ktest *t)
{
	static const unsigned sizes[] = {1, 2, 4, 8, 16, 31, 64, 128, 256, 512};
	struct cost cost[REPEATS], result;

	if (!quiet(t))
		return;
	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		section_size = sizes[k];
		for (unsigned i = 0; i < REPEATS; i++) {
			struct mm *mm = test_mm_enter();
			struct spinlock *ptl;

			KEXPECT_EQ(t, touched(), 0);
			section_table = pte_offset_map_lock(pmd_find(mm, AREA), AREA, &ptl);
			measure(section, &cost[i]);
			pte_unmap_unlock(section_table, ptl);
			flush_tlb_mm(mm);
			test_mm_leave(mm);
		}
		result = median(cost);
		report("section", "wrprotect", sizes[k], &result);
	}
	sched_tune(SCHED_TUNING_DEFAULT);
}

static const struct ktest_case cases[] = {
	{"range_functions", range_functions},
	{"section_sizes", section_sizes},
};
KTEST_SUITE(costs_suite, "costs", "instructions and hypercalls; ./pteron bench reads them", false,
	    cases);
