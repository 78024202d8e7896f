/*
 * Suite `whole_table`: page tables that change as one.
 *
 * Oracle: what the L2 entry and the entries below it hold after each step, what the CPU permits,
 * what the pages hold, and that all frames are back in the end; when memory runs out in the middle,
 * too. Concurrency is the stress suite `tables`.
 */
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "mm/range/family.h"
#include "mm/range/shift.h"
#include "mm/range/whole_table.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"
#include "tests/unit/lib/test_table.h"

#define ADDR 0x40000000UL
#define TARGET 0x80000000UL
#define PAGES TEST_TABLE_PAGES
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define FLAGS_REMAP (MREMAP_MAYMOVE | MREMAP_FIXED)

static struct mm *mm;

/* False: the case is skipped. */
static bool setup(struct ktest *t)
{
	if (!whole_tables_enabled) {
		ktest_skip(t, "tables are changed by their entries");
		return false;
	}
	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(ADDR, PMD_SIZE, RW, ANON, NULL, 0), ADDR);
	write_pages(t, ADDR, 1000);
	return true;
}

static void teardown(struct ktest *t)
{
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

/* --- protection --- */

static void protection_is_one_bit(struct ktest *t)
{
	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	KEXPECT(t, !writable(ADDR) && !writable(ADDR + (PAGES - 1) * PAGE_SIZE));
	check_pages(t, ADDR, 1000);
	KEXPECT_EQ(t, audit_all(), 0);
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, RW), 0);
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && writable(ADDR));
	teardown(t);
}

static void a_part_gets_its_right_back(struct ktest *t)
{
	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_mprotect(ADDR + 3 * PAGE_SIZE, 2 * PAGE_SIZE, RW), 0);
	KEXPECT(t, writable(ADDR + 3 * PAGE_SIZE) && writable(ADDR + 4 * PAGE_SIZE));
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT(t, !writable(ADDR + 2 * PAGE_SIZE) && !writable(ADDR + 5 * PAGE_SIZE));
	KEXPECT(t, !pte_write(entry(ADDR)));
	check_pages(t, ADDR, 1000);
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, RW), 0);
	write_pages(t, ADDR, 2000);
	check_pages(t, ADDR, 2000);
	teardown(t);
}

/* The first VMA below the table may write, the next one may not, and on both sides is none. */
static void each_part_keeps_its_own_right(struct ktest *t)
{
	const unsigned long first = ADDR + 2 * PAGE_SIZE, second = ADDR + 12 * PAGE_SIZE,
			    last = ADDR + (PAGES - 2) * PAGE_SIZE;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_munmap(ADDR, first - ADDR), 0);
	KEXPECT_EQ(t, do_munmap(last + PAGE_SIZE, ADDR + PMD_SIZE - last - PAGE_SIZE), 0);
	KEXPECT_EQ(t, do_mprotect(first, second - first, RW), 0);
	KEXPECT(t, writable(first) && pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT(t, pte_write(entry(first)) && pte_write(entry(second - PAGE_SIZE)));
	KEXPECT(t, !writable(second) && !writable(last));
	teardown(t);
}

/* Its entries stay open to whoever may write, and are not to who may only read. */
static void shared_memory_keeps_its_own_right(struct ktest *t)
{
	if (!setup(t))
		return;
	KEXPECT_EQ(t,
		   do_mmap(TARGET, PMD_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   TARGET);
	write_pages(t, TARGET, 1000);
	KEXPECT_EQ(t, do_mprotect(TARGET, PMD_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_mprotect(TARGET, 10 * PAGE_SIZE, RW), 0);
	KEXPECT(t, writable(TARGET) && pmd_write(*pmd_find(mm, TARGET)));
	KEXPECT(t, pte_write(entry(TARGET + PAGE_SIZE)));
	KEXPECT(t, !writable(TARGET + 10 * PAGE_SIZE));
	check_pages(t, TARGET, 1000);
	teardown(t);
}

static void other_rights_are_the_entries(struct ktest *t)
{
	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, 0), 0);
	KEXPECT(t, pte_protnone(entry(ADDR)) && word(ADDR) == ~0u);
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	check_pages(t, ADDR, 1000);
	KEXPECT(t, !writable(ADDR));
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, RW), 0);
	write_pages(t, ADDR, 2000);
	teardown(t);
}

/* --- fork --- */

/* NULL: the case is skipped. */
static struct mm *setup_and_fork(struct ktest *t)
{
	struct mm *child;

	if (!setup(t))
		return NULL;
	child = mm_fork(mm);
	BUG_ON(!child);
	return child;
}

static void fork_protects_by_the_link(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);

	if (!child)
		return;
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	KEXPECT(t, table_of(ADDR)->pg_flags & PG_SHARED_BELOW);
	write_pages(t, ADDR, 2000);
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && !(table_of(ADDR)->pg_flags & PG_SHARED_BELOW));
	KEXPECT_EQ(t, audit_all(), 0);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	write_pages(t, ADDR, 3000);
	check_pages(t, ADDR, 3000);
	mm_use(mm);
	check_pages(t, ADDR, 2000);
	mm_put(child);
	teardown(t);
}

/* What the child has given back is the parent's own again, at the first write to any of it. */
static void one_fault_opens_what_is_shared_no_more(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);
	u64 reuses;

	if (!child)
		return;
	mm_put(child);
	reuses = counter_sum(CNT_COW_REUSES);
	write_pages(t, ADDR, 2000);
	KEXPECT_EQ(t, counter_sum(CNT_COW_REUSES), reuses);
	check_pages(t, ADDR, 2000);
	teardown(t);
}

/* A child that ends at once. */
static void fork_and_end(void)
{
	struct mm *child = mm_fork(mm);

	BUG_ON(!child);
	mm_put(child);
}

/* The same, while another child lives that shares none of it. */
static void one_fault_opens_what_another_child_has_not(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);
	u64 reuses;

	if (!child)
		return;
	write_pages(t, ADDR, 2000);
	fork_and_end(); /* what was written beside the child loses its right, by its entries perhaps */
	write_pages(t, ADDR, 2500);
	fork_and_end();
	reuses = counter_sum(CNT_COW_REUSES);
	write_pages(t, ADDR, 3000);
	KEXPECT_EQ(t, counter_sum(CNT_COW_REUSES), reuses);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	mm_put(child);
	teardown(t);
}

/* The child is gone, but what it passed on is shared as before. */
static void a_grandchild_shares(struct ktest *t)
{
	struct mm *child = setup_and_fork(t), *grandchild;

	if (!child)
		return;
	mm_use(child);
	grandchild = mm_fork(child);
	BUG_ON(!grandchild);
	mm_use(mm);
	mm_put(child);
	KEXPECT_EQ(t, audit_all(), 0);
	write_pages(t, ADDR, 2000);
	mm_use(grandchild);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	mm_put(grandchild);
	KEXPECT(t, family_is_one(mm));
	teardown(t);
}

/* The first page is written by the parent, and all that the table maps is the child's as it was. */
static void one_write_leaves_all_others_shared(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);

	if (!child)
		return;
	KEXPECT_EQ(t, put_user32(ADDR, 2000), 0);
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)) && pte_write(entry(ADDR)));
	for (unsigned i = 1; i < PAGES; i++)
		KEXPECT(t, !pte_write(entry(ADDR + i * PAGE_SIZE)));
	write_pages(t, ADDR, 2000);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	mm_put(child);
	teardown(t);
}

/* --- a changed copy that is swung in --- */

/* NULL: the case is skipped. */
static struct mm *setup_to_swing(struct ktest *t)
{
	if (pv_owns_tables)
		return setup_and_fork(t);
	ktest_skip(t, "tables are plain memory");
	return NULL;
}

/* What the entries hold stays, but for RW; so does what the pages hold, and who has them. */
static void a_swing_keeps_the_entries(struct ktest *t)
{
	struct mm *child = setup_to_swing(t);
	pte_t before[PAGES];
	struct page *table;
	u64 swung;

	if (!child)
		return;
	for (unsigned i = 0; i < PAGES; i++)
		before[i] = entry(ADDR + i * PAGE_SIZE);
	table = table_of(ADDR);
	swung = counter_sum(CNT_TABLES_SWUNG);
	KEXPECT_EQ(t, put_user32(ADDR + PAGES * PAGE_SIZE, 1), 0); /* it shares nothing */
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_SWUNG), swung + 1);
	KEXPECT(t, table_of(ADDR) != table && table->kind != PAGE_TABLE);
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT(t, pte_dirty(before[i]) &&
				   entry(ADDR + i * PAGE_SIZE).v == pte_wrprotect(before[i]).v);
	KEXPECT_EQ(t, audit_all(), 0);
	write_pages(t, ADDR, 2000);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	mm_put(child);
	teardown(t);
}

/* Each entry of a table with holes, of which the last ones fill no run. */
static void a_section_leaves_no_entry_writable(struct ktest *t)
{
	static const unsigned holes[] = {3, 50, 51, PAGES - 3};
	struct mm *child;

	if (!setup(t))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(holes); i++)
		KEXPECT_EQ(t, do_madvise(ADDR + holes[i] * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED), 0);
	child = mm_fork(mm);
	BUG_ON(!child);
	atomic_inc(&mm->users);
	KEXPECT_EQ(t, put_user32(ADDR + PAGES * PAGE_SIZE, 1), 0); /* it shares nothing */
	atomic_dec(&mm->users);
	KEXPECT_EQ(t, audit_all(), 0);
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT(t, !pte_write(entry(ADDR + i * PAGE_SIZE)));
	for (unsigned i = 0; i < ARRAY_SIZE(holes); i++)
		KEXPECT(t, pte_none(entry(ADDR + holes[i] * PAGE_SIZE)));
	mm_put(child);
	teardown(t);
}

/* Somebody else may wait for the lock of the table. */
static void nothing_swings_under_other_users(struct ktest *t)
{
	struct mm *child = setup_to_swing(t);
	struct page *table;

	if (!child)
		return;
	table = table_of(ADDR);
	atomic_inc(&mm->users);
	write_pages(t, ADDR, 2000);
	atomic_dec(&mm->users);
	KEXPECT(t, table_of(ADDR) == table);
	mm_put(child);
	teardown(t);
}

static void a_push_down_needs_no_memory(struct ktest *t)
{
	struct mm *child = setup_to_swing(t);
	struct page *table;

	if (!child)
		return;
	table = table_of(ADDR);
	mmap_read_lock(mm);
	alloc_page_fail_after(1);
	pmd_push_down(vma_find(&mm->vmas, ADDR), pmd_find(mm, ADDR), ADDR);
	alloc_page_fail_after(0);
	mmap_read_unlock(mm);
	KEXPECT(t, table_of(ADDR) == table && pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT(t, !pte_write(entry(ADDR)));
	mm_put(child);
	teardown(t);
}

static void a_forked_table_is_not_opened_by_mprotect(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);

	if (!child)
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT(t, !writable(ADDR));
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, RW), 0);
	write_pages(t, ADDR, 2000);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	mm_put(child);
	teardown(t);
}

/* The entries of shared memory may be open below a protected L2 entry: the child gets no others. */
static void shared_memory_is_forked_as_protected(struct ktest *t)
{
	static const unsigned used[] = {1, 10, PTRS_PER_TABLE};

	for (unsigned k = 0; k < ARRAY_SIZE(used) && setup(t); k++) {
		struct mm *child;

		KEXPECT_EQ(t,
			   do_mmap(TARGET, PMD_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
				   NULL, 0),
			   TARGET);
		for (unsigned i = 0; i < used[k]; i++)
			KEXPECT_EQ(t, put_user32(TARGET + i * PAGE_SIZE, i), 0);
		KEXPECT_EQ(t, do_mprotect(TARGET, PMD_SIZE, PROT_READ), 0);
		child = mm_fork(mm);
		BUG_ON(!child);
		mm_use(child);
		for (unsigned i = 0; i < used[k]; i++)
			KEXPECT(t, !writable(TARGET + i * PAGE_SIZE) &&
					   word(TARGET + i * PAGE_SIZE) == i);
		KEXPECT_EQ(t, do_mprotect(TARGET, PMD_SIZE, RW), 0);
		KEXPECT_EQ(t, put_user32(TARGET, 77), 0);
		KEXPECT_EQ(t, audit_all(), 0);
		mm_use(mm);
		KEXPECT_EQ(t, word(TARGET), 77);
		KEXPECT(t, !writable(TARGET));
		mm_put(child);
		teardown(t);
	}
}

static struct {
	const struct task *by;
	const pmd_t *pmd;
	u64 steps;
	bool wrong;
} watched;

/* What another CPU may find at this instruction. */
static void look_at_both_levels(struct pt_regs *regs __unused)
{
	pmd_t pmd = pmdp_get(watched.pmd);
	const pte_t *table = pfn_to_virt(pmd_pfn(pmd));

	if (current != watched.by)
		return;
	watched.steps++;
	if (pmd_write(pmd) && (READ_ONCE(table[pte_index(ADDR)].v) & _PAGE_RW))
		watched.wrong = true;
}

static void a_push_down_opens_nothing_that_is_shared(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);
	pmd_t *pmd;

	if (!child)
		return;
	pmd = pmd_find(mm, ADDR);
	watched.by = current;
	watched.pmd = pmd;
	watched.steps = 0;
	watched.wrong = false;
	set_step_hook(look_at_both_levels);
	mmap_read_lock(mm);
	step_begin();
	pmd_push_down(vma_find(&mm->vmas, ADDR), pmd, ADDR);
	step_end();
	mmap_read_unlock(mm);
	set_step_hook(NULL);
	KEXPECT(t, watched.steps > PTRS_PER_TABLE && !watched.wrong);
	KEXPECT(t, pmd_write(*pmd) && !pte_write(entry(ADDR)));
	mm_put(child);
	teardown(t);
}

/* --- mremap --- */

#define ODD (257 * PAGE_SIZE) /* a distance that takes the first half of a table to another */

static void move_to(struct ktest *t, unsigned long target)
{
	KEXPECT_EQ(t, do_mremap(ADDR, PMD_SIZE, PMD_SIZE, FLAGS_REMAP, target), (long)target);
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT_EQ(t, word(ADDR + i * PAGE_SIZE), ~0u);
	check_pages(t, target, 1000);
}

static void a_table_moves_with_its_rights(struct ktest *t)
{
	struct page *table;

	if (!setup(t))
		return;
	table = table_of(ADDR);
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	check_pages(t, ADDR, 1000); /* the TLB has them */
	move_to(t, TARGET);
	KEXPECT(t, table_of(TARGET) == table);
	KEXPECT(t, !writable(TARGET));
	KEXPECT_EQ(t, do_mprotect(TARGET, PMD_SIZE, RW), 0);
	write_pages(t, TARGET, 2000);
	teardown(t);
}

/* Some of its entries, but nothing else is in the table. */
static void a_part_alone_in_its_table_moves_by_the_link(struct ktest *t)
{
	unsigned long from = ADDR + 10 * PAGE_SIZE, to = TARGET + 10 * PAGE_SIZE;
	struct page *table;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_munmap(ADDR, 10 * PAGE_SIZE), 0);
	table = table_of(ADDR);
	KEXPECT_EQ(t, do_mremap(from, PAGE_SIZE * 90, PAGE_SIZE * 90, FLAGS_REMAP, to), (long)to);
	KEXPECT(t, table_of(TARGET) != table); /* what follows it is mapped too */
	KEXPECT_EQ(t, do_munmap(ADDR, PMD_SIZE), 0);
	table = table_of(TARGET);
	KEXPECT_EQ(t, do_mremap(to, PAGE_SIZE * 90, PAGE_SIZE * 90, FLAGS_REMAP, from), (long)from);
	KEXPECT(t, table_of(ADDR) == table);
	for (unsigned i = 0; i < 90; i++)
		KEXPECT_EQ(t, word(from + i * PAGE_SIZE), 1010 + i);
	KEXPECT(t, word(to) == ~0u && writable(from));
	teardown(t);
}

/* Of a run of tables comes one more, however many are taken out at a time. */
static void tables_are_taken_out_to_be_shifted(struct ktest *t)
{
	u64 shifted = counter_sum(CNT_TABLES_SHIFTED), filled = counter_sum(CNT_TABLES_FILLED);
	const unsigned n = SHIFT_TABLES_MAX + 2;
	const unsigned long len = n * PMD_SIZE, new = ADDR + 2 * len + ODD;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mmap(ADDR, len, RW, ANON, NULL, 0), ADDR);
	for (unsigned i = 0; i < n; i++)
		write_pages(t, ADDR + i * (PMD_SIZE + PAGE_SIZE), 1000 * i);
	KEXPECT_EQ(t, do_mremap(ADDR, len, len, FLAGS_REMAP, new), (long)new);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_SHIFTED), shifted + n);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_FILLED), filled + n + 1);
	for (unsigned i = 0; i < n; i++) {
		check_pages(t, new + i *(PMD_SIZE + PAGE_SIZE), 1000 * i);
		KEXPECT_EQ(t, word(ADDR + i * (PMD_SIZE + PAGE_SIZE)), ~0u);
	}
	KEXPECT(t, writable(new));
	teardown(t);
}

/* Both ways within one table: its entries change their indices, and the table stays. */
static void a_table_is_its_own_image(struct ktest *t)
{
	const unsigned long len = 2 * PAGES * PAGE_SIZE;
	unsigned long from = ADDR, to = TARGET + 30 * PAGE_SIZE;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_munmap(ADDR + len, PMD_SIZE - len), 0);
	for (unsigned n = 0; n < 2; n++) {
		struct page *table = table_of(from);

		check_pages(t, from, 1000);
		KEXPECT_EQ(t, do_mremap(from, len, len, FLAGS_REMAP, to), (long)to);
		KEXPECT(t, table_of(to) == table);
		check_pages(t, to, 1000);
		KEXPECT(t, word(from) == ~0u && word(to + PAGES * PAGE_SIZE) == 0);
		KEXPECT_EQ(t, audit_all(), 0);
		from = to;
		to = ADDR;
	}
	teardown(t);
}

/* The last page stays, so the others move by their entries. */
static void an_entry_takes_the_protection_along(struct ktest *t)
{
	const unsigned long len = PMD_SIZE - PAGE_SIZE, to = TARGET + PAGE_SIZE;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	KEXPECT_EQ(t, do_mremap(ADDR, len, len, FLAGS_REMAP, to), (long)to);
	KEXPECT(t, !pte_write(entry(to)) && !writable(to));
	check_pages(t, to, 1000);
	teardown(t);
}

static void what_is_taken_out_stays_protected(struct ktest *t)
{
	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mprotect(ADDR, PMD_SIZE, PROT_READ), 0);
	move_to(t, TARGET + ODD);
	KEXPECT(t, pmd_write(*pmd_find(mm, TARGET + ODD)));
	KEXPECT(t, !pte_write(entry(TARGET + ODD)) && !writable(TARGET + ODD));
	KEXPECT_EQ(t, do_mprotect(TARGET + ODD, PMD_SIZE, RW), 0);
	write_pages(t, TARGET + ODD, 2000);
	teardown(t);
}

/* What the child shares is copied when it is written at its new place. */
static void a_forked_table_is_shifted(struct ktest *t)
{
	struct mm *child = setup_and_fork(t);

	if (!child)
		return;
	move_to(t, TARGET + ODD);
	write_pages(t, TARGET + ODD, 2000);
	mm_use(child);
	check_pages(t, ADDR, 1000);
	mm_use(mm);
	check_pages(t, TARGET + ODD, 2000);
	mm_put(child);
	teardown(t);
}

/* What else is in a table stays, and so does the table. */
static void a_table_with_others_stays(struct ktest *t)
{
	const unsigned long len = PMD_SIZE - PAGE_SIZE;
	u64 shifted = counter_sum(CNT_TABLES_SHIFTED);
	struct page *table;

	if (!setup(t))
		return;
	table = table_of(ADDR);
	KEXPECT_EQ(t, put_user32(ADDR + len, 7), 0);
	KEXPECT_EQ(t, do_mremap(ADDR, len, len, FLAGS_REMAP, TARGET + ODD), (long)(TARGET + ODD));
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_SHIFTED), shifted);
	KEXPECT(t, table_of(ADDR) == table && word(ADDR + len) == 7);
	check_pages(t, TARGET + ODD, 1000);
	teardown(t);
}

/* Of what is taken out one part goes to a table that is in use, the other to an image. */
static void a_table_at_the_new_place_stays(struct ktest *t)
{
	const unsigned long above = TARGET + ODD + PMD_SIZE;
	struct page *table;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, put_user32(ADDR + PMD_SIZE - PAGE_SIZE, 6), 0);
	KEXPECT_EQ(t, do_mmap(above, PAGE_SIZE, RW, ANON, NULL, 0), above);
	KEXPECT_EQ(t, put_user32(above, 7), 0);
	table = table_of(above);
	move_to(t, TARGET + ODD);
	KEXPECT(t, table_of(above) == table && word(above) == 7);
	KEXPECT_EQ(t, word(above - PAGE_SIZE), 6);
	KEXPECT(t, writable(above - PAGE_SIZE));
	teardown(t);
}

/* --- the others --- */

/* D bits that the table held reach the pages: shared ones outlive it. */
static void a_dropped_table_leaves_its_dirty_bits(struct ktest *t)
{
	struct page *page;
	u64 dropped;

	if (!setup(t))
		return;
	KEXPECT_EQ(t,
		   do_mmap(TARGET, PMD_SIZE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   TARGET);
	write_pages(t, TARGET, 1000);
	page = pte_page(entry(TARGET));
	KEXPECT(t, !(page->pg_flags & PG_DIRTY));
	dropped = counter_sum(CNT_TABLES_DROPPED);
	KEXPECT_EQ(t, do_madvise(TARGET, PMD_SIZE, MADV_DONTNEED), 0);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_DROPPED), dropped + 1);
	KEXPECT(t, page->pg_flags & PG_DIRTY);
	check_pages(t, TARGET, 1000);
	check_pages(t, ADDR, 1000); /* the TLB has them */
	KEXPECT_EQ(t, do_madvise(ADDR, PMD_SIZE, MADV_DONTNEED), 0);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_DROPPED), dropped + 2);
	for (unsigned i = 0; i < PAGES; i++)
		KEXPECT_EQ(t, word(ADDR + i * PAGE_SIZE), 0);
	KEXPECT_EQ(t, do_munmap(ADDR, PMD_SIZE), 0);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_DROPPED), dropped + 3);
	teardown(t);
}

/* MADV_DONTNEED of @len bytes at @start, all written; how many tables went. */
static u64 dropped_by(struct ktest *t, unsigned long start, unsigned long len)
{
	const u64 before = counter_sum(CNT_TABLES_DROPPED);

	KEXPECT_EQ(t, do_madvise(start, len, MADV_POPULATE_WRITE), 0);
	KEXPECT_EQ(t, put_user32(start, 5), 0);
	KEXPECT_EQ(t, do_madvise(start, len, MADV_DONTNEED), 0);
	KEXPECT_EQ(t, word(start), 0);
	return counter_sum(CNT_TABLES_DROPPED) - before;
}

/* A neighbour at @addr keeps the table, and its page, while the range at @start is dropped. */
static void a_neighbour_keeps(struct ktest *t, unsigned long addr, unsigned long start,
			      unsigned long len)
{
	KEXPECT_EQ(t, do_mmap(addr, PAGE_SIZE, RW, ANON, NULL, 0), addr);
	KEXPECT_EQ(t, put_user32(addr, 77), 0);
	KEXPECT_EQ(t, dropped_by(t, start, len), 0);
	KEXPECT_EQ(t, word(addr), 77);
	KEXPECT_EQ(t, do_munmap(addr, PAGE_SIZE), 0);
}

/* The range need not cover the table, if nothing else does. */
static void a_table_goes_with_the_space_around(struct ktest *t)
{
	const unsigned long start = TARGET + 200 * PAGE_SIZE, len = PAGES * PAGE_SIZE;

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mmap(start, len, RW, ANON, NULL, 0), start);
	KEXPECT_EQ(t, dropped_by(t, start, len), 1);
	a_neighbour_keeps(t, TARGET, start, len);
	a_neighbour_keeps(t, TARGET + PMD_SIZE - PAGE_SIZE, start, len);
	KEXPECT_EQ(t, dropped_by(t, start, len), 1);
	KEXPECT_EQ(t, put_user32(start + len - PAGE_SIZE, 7), 0);
	KEXPECT_EQ(t, dropped_by(t, start, len - PAGE_SIZE), 0);
	KEXPECT_EQ(t, word(start + len - PAGE_SIZE), 7);
	KEXPECT_EQ(t, put_user32(start, 8), 0);
	KEXPECT_EQ(t, dropped_by(t, start + PAGE_SIZE, len - PAGE_SIZE), 0);
	KEXPECT_EQ(t, word(start), 8);
	teardown(t);
}

/* Not fewer pages than make it the cheaper way, and a range of no fewer. */
static void few_pages_go_one_by_one(struct ktest *t)
{
	const unsigned enough = pv_table_costs.drop_min;
	u64 dropped;

	if (!setup(t))
		return;
	for (unsigned n = enough - 1; n <= enough; n++) {
		KEXPECT_EQ(t, do_mmap(TARGET, n * PAGE_SIZE, RW, ANON | MAP_POPULATE, NULL, 0),
			   TARGET);
		dropped = counter_sum(CNT_TABLES_DROPPED);
		KEXPECT_EQ(t, do_munmap(TARGET, n * PAGE_SIZE), 0);
		KEXPECT_EQ(t, counter_sum(CNT_TABLES_DROPPED), dropped + (n == enough));
	}
	teardown(t);
}

static void populate_fills_before_it_links(struct ktest *t)
{
	u64 filled = counter_sum(CNT_TABLES_FILLED);

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mmap(TARGET, 2 * PMD_SIZE, RW, ANON | MAP_POPULATE, NULL, 0), TARGET);
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_FILLED), filled + 2);
	/* A fault's would be dirty. */
	for (unsigned long addr = TARGET; addr < TARGET + 2 * PMD_SIZE; addr += PAGE_SIZE)
		KEXPECT(t, pte_write(entry(addr)) && !pte_dirty(entry(addr)));
	write_pages(t, TARGET, 1);
	teardown(t);
}

/* Part of a table that does not exist yet, and the rest of it stays empty. */
static void populate_fills_parts(struct ktest *t)
{
	const unsigned long part = pv_table_costs.fill_min * PAGE_SIZE;
	const unsigned long start = TARGET + PMD_SIZE - part,
			    end = TARGET + PMD_SIZE + part - PAGE_SIZE;
	u64 filled = counter_sum(CNT_TABLES_FILLED);

	if (!setup(t))
		return;
	KEXPECT_EQ(t, do_mmap(TARGET, 2 * PMD_SIZE, RW, ANON, NULL, 0), TARGET);
	KEXPECT_EQ(t, do_madvise(start, end - start, MADV_POPULATE_WRITE), 0);
	/* The second part is one page short of what a table is worth. */
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_FILLED), filled + 1);
	for (unsigned long addr = TARGET; addr < TARGET + 2 * PMD_SIZE; addr += PAGE_SIZE)
		KEXPECT_EQ(t, pte_write(entry(addr)), addr >= start && addr < end);
	write_pages(t, start, 1);
	teardown(t);
}

static void populate_completes_a_table(struct ktest *t)
{
	u64 filled = counter_sum(CNT_TABLES_FILLED);
	struct page *table;

	if (!setup(t))
		return;
	table = table_of(ADDR);
	KEXPECT_EQ(t, do_madvise(ADDR, PMD_SIZE, MADV_POPULATE_WRITE), 0);
	KEXPECT(t, table_of(ADDR) == table && counter_sum(CNT_TABLES_FILLED) == filled);
	for (unsigned long addr = ADDR; addr < ADDR + PMD_SIZE; addr += PAGE_SIZE)
		KEXPECT(t, pte_write(entry(addr)));
	check_pages(t, ADDR, 1000);
	teardown(t);
}

/* --- memory runs out --- */

static long populate(void)
{
	return do_madvise(ADDR + PMD_SIZE, PMD_SIZE, MADV_POPULATE_WRITE);
}

static long fork(void)
{
	struct mm *child = mm_fork(current->mm);

	if (!child)
		return -ENOMEM;
	mm_put(child);
	return 0;
}

/* There, if there is memory; and back with all that there is. */
static long move_there_and_back(void)
{
	long err = do_mremap(ADDR, PMD_SIZE, PMD_SIZE, FLAGS_REMAP, TARGET + ODD);

	if (err < 0)
		return err;
	alloc_page_fail_after(0);
	BUG_ON(do_mremap(TARGET + ODD, PMD_SIZE, PMD_SIZE, FLAGS_REMAP, ADDR) != (long)ADDR);
	return 0;
}

static void fails_cleanly(struct ktest *t, long (*op)(void), unsigned step)
{
	s64 user = page_kind_count(PAGE_USER), tables = page_kind_count(PAGE_TABLE);
	long err = -ENOMEM;

	for (unsigned n = 1; err && !t->failures; n += step) {
		if (!setup(t))
			return;
		KEXPECT_EQ(t, do_mmap(ADDR + PMD_SIZE, PMD_SIZE, RW, ANON, NULL, 0),
			   ADDR + PMD_SIZE);
		alloc_page_fail_after(n);
		err = op();
		alloc_page_fail_after(0);
		KEXPECT(t, err == 0 || err == -ENOMEM);
		KEXPECT_EQ(t, audit_all(), 0);
		check_pages(t, ADDR, 1000);
		write_pages(t, ADDR, 2000);
		teardown(t);
	}
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), user);
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

static void memory_runs_out_in_fork(struct ktest *t)
{
	fails_cleanly(t, fork, 1);
}

static void memory_runs_out_in_populate(struct ktest *t)
{
	fails_cleanly(t, populate, 37);
}

static void memory_runs_out_in_mremap(struct ktest *t)
{
	fails_cleanly(t, move_there_and_back, 1);
}

/*
 * Two VMAs of one mprotect, a table each: one of them loses more than the right to write, so the L2
 * entry does not do, whichever of the two it is.
 */
static void one_of_two_loses_more(struct ktest *t)
{
	for (unsigned more = 0; more < 2 && setup(t); more++) {
		const unsigned long other = ADDR + PMD_SIZE, addr = more ? other : ADDR;

		KEXPECT_EQ(t, do_mmap(other, PMD_SIZE, RW, ANON, NULL, 0), other);
		write_pages(t, other, 3000);
		KEXPECT_EQ(t, do_mprotect(addr, PMD_SIZE, RW | PROT_EXEC), 0);
		KEXPECT(t, pte_exec(entry(addr)));
		KEXPECT_EQ(t, do_mprotect(ADDR, 2 * PMD_SIZE, PROT_READ), 0);
		KEXPECT(t, !pte_exec(entry(addr)) && !writable(addr));
		KEXPECT_EQ(t, audit_all(), 0);
		check_pages(t, ADDR, 1000);
		check_pages(t, other, 3000);
		test_mm_leave(mm);
	}
}

static const struct ktest_case cases[] = {
	{"protection_is_one_bit", protection_is_one_bit},
	{"a_part_gets_its_right_back", a_part_gets_its_right_back},
	{"each_part_keeps_its_own_right", each_part_keeps_its_own_right},
	{"shared_memory_keeps_its_own_right", shared_memory_keeps_its_own_right},
	{"other_rights_are_the_entries", other_rights_are_the_entries},
	{"fork_protects_by_the_link", fork_protects_by_the_link},
	{"one_fault_opens_what_is_shared_no_more", one_fault_opens_what_is_shared_no_more},
	{"one_fault_opens_what_another_child_has_not", one_fault_opens_what_another_child_has_not},
	{"a_grandchild_shares", a_grandchild_shares},
	{"a_swing_keeps_the_entries", a_swing_keeps_the_entries},
	{"a_section_leaves_no_entry_writable", a_section_leaves_no_entry_writable},
	{"nothing_swings_under_other_users", nothing_swings_under_other_users},
	{"a_push_down_needs_no_memory", a_push_down_needs_no_memory},
	{"one_write_leaves_all_others_shared", one_write_leaves_all_others_shared},
	{"a_forked_table_is_not_opened_by_mprotect", a_forked_table_is_not_opened_by_mprotect},
	{"shared_memory_is_forked_as_protected", shared_memory_is_forked_as_protected},
	{"a_push_down_opens_nothing_that_is_shared", a_push_down_opens_nothing_that_is_shared},
	{"one_of_two_loses_more", one_of_two_loses_more},
	{"a_table_moves_with_its_rights", a_table_moves_with_its_rights},
	{"a_part_alone_in_its_table_moves_by_the_link",
	 a_part_alone_in_its_table_moves_by_the_link},
	{"tables_are_taken_out_to_be_shifted", tables_are_taken_out_to_be_shifted},
	{"a_table_is_its_own_image", a_table_is_its_own_image},
	{"what_is_taken_out_stays_protected", what_is_taken_out_stays_protected},
	{"an_entry_takes_the_protection_along", an_entry_takes_the_protection_along},
	{"a_forked_table_is_shifted", a_forked_table_is_shifted},
	{"a_table_with_others_stays", a_table_with_others_stays},
	{"a_table_at_the_new_place_stays", a_table_at_the_new_place_stays},
	{"a_dropped_table_leaves_its_dirty_bits", a_dropped_table_leaves_its_dirty_bits},
	{"a_table_goes_with_the_space_around", a_table_goes_with_the_space_around},
	{"few_pages_go_one_by_one", few_pages_go_one_by_one},
	{"populate_fills_before_it_links", populate_fills_before_it_links},
	{"populate_fills_parts", populate_fills_parts},
	{"populate_completes_a_table", populate_completes_a_table},
	{"memory_runs_out_in_fork", memory_runs_out_in_fork},
	{"memory_runs_out_in_populate", memory_runs_out_in_populate},
	{"memory_runs_out_in_mremap", memory_runs_out_in_mremap},
};
KTEST_SUITE(whole_table_suite, "whole_table", "page tables that change as one", true, cases);
