/*
 * Suite `ranges`: what the range functions do besides changing entries.
 *
 * Oracle: a D bit that the CPU sets while the entry's clear is still queued is found by the
 * harvest; each section owes its invalidation instead of making one of its own, which the counters
 * say; what was gathered is freed in the end.
 */
#include "kernel/counters.h"
#include "kernel/sched.h"
#include "kernel/traps.h"
#include "kernel/uaccess.h"
#include "mm/lazy_mmu.h"
#include "mm/mmap.h"
#include "mm/mmu_gather.h"
#include "pv/batch.h"
#include "tests/ktest.h"
#include "tests/unit/step.h"
#include "tests/unit/test_mm.h"

#define ADDR 0x40000000UL
#define LEN (20 * PAGE_SIZE)
#define TARGET (ADDR + PMD_SIZE)
#define RW (PROT_READ | PROT_WRITE)
#define NO_TICK_US 1000000000U

static struct mm *mm;

static void setup(struct ktest *t, unsigned long flags)
{
	mm = test_mm_enter();
	flags |= MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE;
	KEXPECT_EQ(t, do_mmap(ADDR, LEN, RW, flags, NULL, 0), ADDR);
}

static void teardown(void)
{
	test_mm_leave(mm);
}

/* --- the D bit --- */

static struct {
	const struct task *task;
	const pte_t *entry;
	bool done;
} writer;

/* What another CPU may do: its TLB has the entry. */
static void write_while_queued(struct pt_regs *regs __unused)
{
	if (current != writer.task || writer.done || !batch_is_pending(writer.entry))
		return;
	writer.done = put_user32(ADDR, 1) == 0;
}

static void zap_harvests(struct ktest *t)
{
	const struct page *page;
	const pte_t *entry;

	if (!pv_queues_updates || !lazy_mmu_enabled) {
		ktest_skip(t, "updates are not queued");
		return;
	}
	setup(t, MAP_SHARED);
	entry = pte_offset(*pmd_find(mm, ADDR), ADDR);
	page = pte_page(*entry);
	KEXPECT(t, pte_write(*entry) && !pte_dirty(*entry) && !(page->pg_flags & PG_DIRTY));
	writer.task = current;
	writer.entry = entry;
	writer.done = false;
	set_step_hook(write_while_queued);
	step_begin();
	do_madvise(ADDR, LEN, MADV_DONTNEED);
	step_end();
	set_step_hook(NULL);
	KEXPECT(t, writer.done && (page->pg_flags & PG_DIRTY));
	teardown();
}

/* --- the invalidations --- */

static void dontneed(void)
{
	do_madvise(ADDR, LEN, MADV_DONTNEED);
}

static void unmap(void)
{
	do_munmap(ADDR, LEN);
}

static void protect(void)
{
	do_mprotect(ADDR, LEN, PROT_READ);
}

static void move(void)
{
	do_mremap(ADDR, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, TARGET);
}

static struct mm *child;

static void fork(void)
{
	child = mm_fork(current->mm);
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned of_tables; /* invalidations for tables that are freed, which no section owes */
} operations[] = {
	{"dontneed", dontneed, 0}, {"munmap", unmap, 1}, {"mprotect", protect, 0},
	{"mremap", move, 1},	   {"fork", fork, 0},
};

/* Where updates are stores, what is issued is just the invalidations that sections owe. */
static void sections_owe_their_invalidation(struct ktest *t)
{
	const struct sched_tuning tuning = sched_tuning;

	if (pv_queues_updates || !lazy_mmu_enabled) {
		ktest_skip(t, "batches are not of invalidations alone");
		return;
	}
	sched_tune((struct sched_tuning){.quantum_us = NO_TICK_US}); /* a switch would pay early */
	for (unsigned i = 0; i < ARRAY_SIZE(operations); i++) {
		u64 batches, flushes;

		child = NULL;
		setup(t, MAP_PRIVATE);
		batches = counter_sum(CNT_BATCHES);
		flushes = counter_sum(CNT_TLB_FLUSHES);
		operations[i].run();
		batches = counter_sum(CNT_BATCHES) - batches;
		flushes = counter_sum(CNT_TLB_FLUSHES) - flushes;
		if (batches != 1 || flushes != 1 + operations[i].of_tables)
			ktest_fail(t, __FILE__, __LINE__, "%s: %lu invalidations, %lu owed",
				   operations[i].name, flushes, batches);
		if (child)
			mm_put(child);
		teardown();
	}
	sched_tune(tuning);
}

static void a_gather_frees_what_is_left(struct ktest *t)
{
	static struct mmu_gather tlb; /* too large for a stack; the tests are serial */
	struct page *page = alloc_page_zeroed(PAGE_USER);

	BUG_ON(!page);
	setup(t, MAP_PRIVATE);
	get_page(page);
	tlb_gather_mmu(&tlb, mm);
	tlb_remove_page(&tlb, ADDR, pte_mkdirty(mk_pte(page, vm_page_prot(VM_READ))));
	tlb_finish_mmu(&tlb);
	KEXPECT_EQ(t, atomic_read(&page->refcount), 1);
	KEXPECT(t, page->pg_flags & PG_DIRTY);
	put_page(page);
	teardown();
}

static const struct ktest_case cases[] = {
	{"zap_harvests", zap_harvests},
	{"sections_owe_their_invalidation", sections_owe_their_invalidation},
	{"a_gather_frees_what_is_left", a_gather_frees_what_is_left},
};
KTEST_SUITE(ranges_suite, "ranges", "what range functions owe, keep and free", true, cases);
