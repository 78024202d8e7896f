/*
 * Suite `ranges`: what the range functions do besides changing entries.
 *
 * Oracle: a D bit that the CPU sets while the entry's clear is still queued is found by the
 * harvest, or moves with the entry; each section owes its invalidation instead of making one of its
 * own, which the counters say; what is populated is there; what was gathered is freed in the end;
 * what a call answers, and which VMAs are there then.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/sched.h"
#include "mm/frame/frames_device.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/range/mmu_gather.h"
#include "mm/range/whole_table.h"
#include "mm/space/mmap.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define LEN (20 * PAGE_SIZE)
#define TARGET (ADDR + PMD_SIZE)
#define RW (PROT_READ | PROT_WRITE)
#define MAP_HUGE_SHIFT 26
#define UNKNOWN 0x200000 /* no flag of mmap's */

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

/* --- the operations --- */

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

/* --- the D bit --- */

static struct {
	const struct task *by;
	unsigned long addr; /* of the page */
	const pte_t *entry;
	const struct page *page;
	bool done;
} written;

/* What another CPU may do: its TLB has the entry. */
static void write_while_queued(struct pt_regs *regs __unused)
{
	if (current != written.by || written.done || !batch_is_pending(written.entry))
		return;
	written.done = put_user32(written.addr, 1) == 0;
}

static void look_for_writes(unsigned long addr)
{
	written.by = current;
	written.addr = addr;
	written.entry = pte_offset(*pmd_find(mm, addr), addr);
	written.page = pte_page(*written.entry);
	written.done = false;
}

/* A hole, so that the entries are two runs. */
static void punch(struct ktest *t)
{
	KEXPECT_EQ(t, do_madvise(ADDR + 3 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
}

/* Run @change, which queues the clear of the entry of @addr; false: no update is queued here. */
static bool write_in_the_middle(struct ktest *t, void (*change)(void), unsigned long addr)
{
	const bool tables = whole_tables_enabled;

	if (!pv_queues_updates || !lazy_mmu_enabled) {
		ktest_skip(t, "updates are not queued");
		return false;
	}
	setup(t, MAP_SHARED);
	punch(t);
	look_for_writes(addr);
	KEXPECT(t, pte_write(*written.entry) && !pte_dirty(*written.entry) &&
			   !(written.page->pg_flags & PG_DIRTY));
	whole_tables_enabled = false; /* entries are meant here */
	set_step_hook(write_while_queued);
	step_begin();
	change();
	step_end();
	set_step_hook(NULL);
	whole_tables_enabled = tables;
	KEXPECT(t, written.done);
	return true;
}

static void zap_harvests(struct ktest *t)
{
	static const unsigned index[] = {0, 2, 4, 19};

	for (unsigned i = 0; i < ARRAY_SIZE(index); i++) {
		if (!write_in_the_middle(t, dontneed, ADDR + index[i] * PAGE_SIZE))
			return;
		KEXPECT(t, written.page->pg_flags & PG_DIRTY);
		teardown();
	}
}

/* Of a run of entries one has a D bit, and that is its own page's. */
static void each_page_gets_its_dirty_bit(struct ktest *t)
{
	const bool tables = whole_tables_enabled;

	whole_tables_enabled = false;
	for (unsigned i = 0; i < LEN / PAGE_SIZE; i++) {
		const unsigned long other = ADDR + (i ? 0 : PAGE_SIZE);
		struct page *clean;

		setup(t, MAP_SHARED);
		clean = pte_page(*pte_offset(*pmd_find(mm, other), other));
		look_for_writes(ADDR + i * PAGE_SIZE);
		KEXPECT_EQ(t, put_user32(written.addr, 1), 0);
		dontneed();
		KEXPECT(t, written.page->pg_flags & PG_DIRTY);
		KEXPECT(t, !(clean->pg_flags & PG_DIRTY));
		teardown();
	}
	whole_tables_enabled = tables;
}

static void a_move_keeps_the_dirty_bit(struct ktest *t)
{
	if (!write_in_the_middle(t, move, ADDR))
		return;
	KEXPECT(t, pte_dirty(*pte_offset(*pmd_find(mm, TARGET), TARGET)));
	teardown();
}

/* --- the invalidations --- */

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
	const bool tables = whole_tables_enabled;

	if (pv_queues_updates || !lazy_mmu_enabled) {
		ktest_skip(t, "batches are not of invalidations alone");
		return;
	}
	sched_tune((struct sched_tuning){.quantum_us = 0}); /* a switch would pay early */
	whole_tables_enabled = false;			    /* entries are meant here */
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
	whole_tables_enabled = tables;
	sched_tune(tuning);
}

/*
 * What was mapped is dropped, and each of @advice taken; then all entries must be as @rights say.
 */
static void populate(struct ktest *t, unsigned long flags, const int *advice, unsigned n,
		     u64 rights)
{
	setup(t, flags);
	dontneed();
	for (unsigned i = 0; i < n; i++)
		KEXPECT_EQ(t, do_madvise(ADDR, LEN, advice[i]), 0);
	for (unsigned long addr = ADDR; addr < ADDR + LEN; addr += PAGE_SIZE)
		KEXPECT_EQ(t, pte_offset(*pmd_find(mm, addr), addr)->v & rights, rights);
	teardown();
}

/* Not by faults, one for each page, which only an intent to write would make afterwards. */
static void shared_memory_is_populated(struct ktest *t)
{
	static const int advice[] = {MADV_POPULATE_READ};

	populate(t, MAP_SHARED, advice, ARRAY_SIZE(advice), _PAGE_PRESENT);
}

static void zero_pages_become_writable(struct ktest *t)
{
	static const int advice[] = {MADV_POPULATE_READ, MADV_POPULATE_WRITE};

	populate(t, MAP_PRIVATE, advice, ARRAY_SIZE(advice), _PAGE_PRESENT | _PAGE_RW);
}

/*
 * Below an L2 entry that forbids writing, an entry with RW does not permit it. So many pages that
 * fork shares them by their table, whatever that costs.
 */
static void populate_writes_what_fork_has_shared(struct ktest *t)
{
	struct mm *child;

	setup(t, MAP_PRIVATE);
	KEXPECT_EQ(t,
		   do_mmap(TARGET, PMD_SIZE, RW,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, NULL, 0),
		   TARGET);
	child = mm_fork(mm);
	BUG_ON(!child);
	KEXPECT_EQ(t, pmd_write(*pmd_find(mm, TARGET)), !whole_tables_enabled);
	KEXPECT_EQ(t, do_madvise(TARGET, PMD_SIZE, MADV_POPULATE_WRITE), 0);
	for (unsigned long addr = TARGET; addr < TARGET + PMD_SIZE; addr += PAGE_SIZE) {
		const pmd_t *pmd = pmd_find(mm, addr);

		KEXPECT(t, pte_write(pte_narrow(ptep_get(pte_offset(*pmd, addr)), *pmd)));
	}
	mm_put(child);
	teardown();
}

/* Behind another, before it, and between the two. */
static void new_mappings_join(struct ktest *t)
{
	static const unsigned long starts[] = {ADDR + LEN, ADDR - 2 * LEN, ADDR - LEN};
	static const unsigned vmas[] = {1, 2, 1};

	setup(t, MAP_PRIVATE);
	for (unsigned i = 0; i < ARRAY_SIZE(starts); i++) {
		KEXPECT_EQ(t,
			   do_mmap(starts[i], LEN, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   NULL, 0),
			   starts[i]);
		KEXPECT_EQ(t, mm->vmas.count, vmas[i]);
	}
	teardown();
}

static void a_gather_frees_what_is_left(struct ktest *t)
{
	static struct mmu_gather tlb; /* too large for a stack; the tests are serial */
	struct page *page = alloc_page_zeroed(PAGE_USER);
	pte_t pte;

	BUG_ON(!page);
	setup(t, MAP_PRIVATE);
	get_page(page);
	tlb_gather_mmu(&tlb, mm);
	pte = pte_mkdirty(mk_pte(page, vm_page_prot(VM_READ)));
	tlb_remove_ptes(&tlb, ADDR, &pte, 1);
	tlb_finish_mmu(&tlb);
	KEXPECT_EQ(t, atomic_read(&page->refcount), 1);
	KEXPECT(t, page->pg_flags & PG_DIRTY);
	put_page(page);
	teardown();
}

/* Of two full PTE pages, by their entries: as many pages as a gather holds, twice. */
static void each_section_frees_its_pages(struct ktest *t)
{
	const unsigned long len = 2 * PMD_SIZE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	const bool tables = whole_tables_enabled;
	s64 pages;

	whole_tables_enabled = false;
	mm = test_mm_enter();
	pages = page_kind_count(PAGE_USER);
	KEXPECT_EQ(t, do_mmap(ADDR, len, RW, flags | MAP_POPULATE, NULL, 0), ADDR);
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), pages + (s64)(len / PAGE_SIZE));
	/* A queued clear leaves these D bits to be harvested. */
	for (unsigned long addr = ADDR; addr < ADDR + len; addr += PAGE_SIZE)
		KEXPECT_EQ(t, put_user32(addr, 1), 0);
	KEXPECT_EQ(t, do_madvise(ADDR, len, MADV_DONTNEED), 0);
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), pages);
	teardown();
	whole_tables_enabled = tables;
}

/* What is behind the new length is unmapped where it was; the rest is at the target, nothing else. */
static void a_move_may_shrink(struct ktest *t)
{
	u32 word = 0;

	setup(t, MAP_PRIVATE);
	KEXPECT_EQ(t, put_user32(ADDR + PAGE_SIZE, 7), 0);
	KEXPECT_EQ(t, do_mremap(ADDR, LEN, LEN / 2, MREMAP_MAYMOVE | MREMAP_FIXED, TARGET), TARGET);
	KEXPECT(t, vma_find(&mm->vmas, ADDR)->start == TARGET);
	KEXPECT(t, vma_covered(&mm->vmas, TARGET, TARGET + LEN / 2));
	KEXPECT(t, !vma_find(&mm->vmas, TARGET + LEN / 2));
	KEXPECT_EQ(t, get_user32(TARGET + PAGE_SIZE, &word), 0);
	KEXPECT_EQ(t, word, 7);
	teardown();
}

/* Shared memory that has grown is backed up to its old end, and all that is left lies beyond. */
static void nothing_is_populated_beyond_an_object(struct ktest *t)
{
	setup(t, MAP_SHARED);
	KEXPECT_EQ(t, do_mremap(ADDR, LEN, 2 * LEN, 0, 0), ADDR);
	KEXPECT_EQ(t, do_madvise(ADDR, 2 * LEN, MADV_POPULATE_READ), -EFAULT);
	KEXPECT_EQ(t, do_munmap(ADDR, LEN + PAGE_SIZE), 0);
	KEXPECT_EQ(t, do_madvise(ADDR + LEN + PAGE_SIZE, PAGE_SIZE, MADV_POPULATE_READ), -EFAULT);
	teardown();
}

/* What a mapping replaces does not count against the limit. */
static void a_full_address_space_may_be_mapped_anew(struct ktest *t)
{
	const unsigned long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;

	setup(t, MAP_PRIVATE);
	mm->address_limit = LEN;
	KEXPECT_EQ(t, do_mmap(ADDR, LEN, RW, flags, NULL, 0), ADDR);
	KEXPECT_EQ(t, do_mmap(ADDR, LEN + PAGE_SIZE, RW, flags, NULL, 0), -ENOMEM);
	KEXPECT_EQ(t, do_mmap(TARGET, PAGE_SIZE, RW, flags, NULL, 0), -ENOMEM);
	teardown();
}

/* As Linux answers, where it has no huge pages. The device is mapped shared, or not at all. */
static void flags_are_refused(struct ktest *t)
{
	const unsigned long huge = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	const struct mmap_frames *device = frames_device();

	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(0, LEN, RW, huge, NULL, 0), -ENOMEM);
	KEXPECT_EQ(t, do_mmap(0, LEN, RW, huge & ~MAP_ANONYMOUS, NULL, 0), -EINVAL);
	KEXPECT_EQ(t, do_mmap(0, LEN, RW, huge | 13UL << MAP_HUGE_SHIFT, NULL, 0), -EINVAL);
	KEXPECT_EQ(t, do_mmap(0, PAGE_SIZE, RW, MAP_PRIVATE, device, 0), -EINVAL);
	KEXPECT_EQ(t, do_mmap(0, PAGE_SIZE, RW, 0, device, 0), -EINVAL);
	KEXPECT_EQ(t, do_mmap(0, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | UNKNOWN, device, 0),
		   -EOPNOTSUPP);
	KEXPECT_EQ(t, do_mmap(ADDR, PAGE_SIZE, RW, MAP_SHARED_VALIDATE | MAP_FIXED, device, 0),
		   ADDR);
	teardown();
}

static const struct ktest_case cases[] = {
	{"zap_harvests", zap_harvests},
	{"each_page_gets_its_dirty_bit", each_page_gets_its_dirty_bit},
	{"a_move_keeps_the_dirty_bit", a_move_keeps_the_dirty_bit},
	{"sections_owe_their_invalidation", sections_owe_their_invalidation},
	{"shared_memory_is_populated", shared_memory_is_populated},
	{"zero_pages_become_writable", zero_pages_become_writable},
	{"populate_writes_what_fork_has_shared", populate_writes_what_fork_has_shared},
	{"new_mappings_join", new_mappings_join},
	{"a_move_may_shrink", a_move_may_shrink},
	{"nothing_is_populated_beyond_an_object", nothing_is_populated_beyond_an_object},
	{"a_full_address_space_may_be_mapped_anew", a_full_address_space_may_be_mapped_anew},
	{"flags_are_refused", flags_are_refused},
	{"a_gather_frees_what_is_left", a_gather_frees_what_is_left},
	{"each_section_frees_its_pages", each_section_frees_its_pages},
};
KTEST_SUITE(ranges_suite, "ranges", "what range functions owe, keep and free", true, cases);
