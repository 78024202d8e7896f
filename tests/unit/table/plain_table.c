/*
 * Suite `plain_table`: page tables that nobody can reach, and how many entries one holds.
 *
 * Oracle: what was put into the table, to the entry, and what lies behind it in memory; a place in
 * the page tables has the table that came first, and the one that came second is plain memory again
 * whose pages can be given back, also when both come at once; all frames are back in the end.
 */
#include "kernel/entry/uaccess.h"
#include "mm/range/whole_table.h"
#include "mm/range/zeromap.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/late.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL

/* A table, and the frame behind it. */
static pte_t memory[2 * PTRS_PER_TABLE] __aligned(PAGE_SIZE);

static pfn_t first_frame(void)
{
	return pfn(__pa_symbol(memory) >> PAGE_SHIFT);
}

/* --- how many entries --- */

/* @n of the table's entries, at random places, and all of the frame behind it. */
static void use_entries(struct ktest *t, unsigned n)
{
	for (unsigned i = 0; i < ARRAY_SIZE(memory); i++)
		memory[i] = i < PTRS_PER_TABLE ? (pte_t){0} : test_value(i);
	for (unsigned left = n; left;) {
		unsigned i = rng_below(&t->rng, PTRS_PER_TABLE);

		left -= pte_none(memory[i]);
		memory[i] = test_value(i);
	}
}

static void entries_are_counted(struct ktest *t)
{
	pmd_t pmd = pmd_make(first_frame(), _PAGE_TABLE);

	for (unsigned n = 0; n <= PTRS_PER_TABLE; n += n < 20 || n > 500 ? 1 : 7) {
		use_entries(t, n);
		KEXPECT(t, table_holds(pmd, n));
		KEXPECT(t, !table_holds(pmd, n + 1));
	}
}

/* --- what a table holds is given back --- */

static struct page *user_page(void)
{
	struct page *page = alloc_page_zeroed(PAGE_USER);

	BUG_ON(!page);
	return page;
}

/* One more reference to @page, from an entry. */
static pte_t entry_of(struct page *page)
{
	get_page(page);
	return mk_pte(page, vm_page_prot(VM_READ | VM_WRITE));
}

static void a_drop_ends_with_the_table(struct ktest *t)
{
	struct page *clean = user_page(), *dirty = user_page();
	struct page *table = pfn_to_page(first_frame());
	const int zero_pages = atomic_read(&zero_page->refcount);
	pte_t *ptep = page_to_virt(table);

	use_entries(t, 0);
	table->pg_flags |= PG_PLAIN_TABLE;
	plain_table_set(NULL, ADDR, ptep, entry_of(clean));
	plain_table_set(NULL, ADDR, ptep + PTRS_PER_TABLE - 1, pte_mkdirty(entry_of(dirty)));
	plain_table_set(NULL, ADDR, ptep + 7,
			pte_mkspecial(mk_pte(zero_page, vm_page_prot(VM_READ))));
	memory[PTRS_PER_TABLE] = (pte_t){_PAGE_AD}; /* a none, but not of this table */
	plain_table_drop(table);
	table->pg_flags &= ~PG_PLAIN_TABLE;
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		KEXPECT_EQ(t, memory[i].v, 0);
	KEXPECT_EQ(t, memory[PTRS_PER_TABLE].v, _PAGE_AD);
	KEXPECT_EQ(t, atomic_read(&clean->refcount), 1);
	KEXPECT_EQ(t, atomic_read(&dirty->refcount), 1);
	KEXPECT_EQ(t, atomic_read(&zero_page->refcount), zero_pages);
	KEXPECT(t, !(clean->pg_flags & PG_DIRTY) && (dirty->pg_flags & PG_DIRTY));
	put_page(clean);
	put_page(dirty);
}

/* --- two tables for one place --- */

static struct mm *mm;

static struct page *plain_table(void)
{
	struct page *table = plain_table_alloc(mm);

	BUG_ON(!table);
	return table;
}

static struct page *linked_table(void)
{
	return pfn_to_page(pmd_pfn(*pmd_find(mm, ADDR)));
}

static void drop_and_free(struct page *table)
{
	plain_table_drop(table);
	table_free(table);
}

static void leave(void)
{
	test_free_tables(mm, ADDR, ADDR + PMD_SIZE);
	test_mm_leave(mm);
}

static void the_second_table_is_plain_again(struct ktest *t)
{
	const s64 tables = page_kind_count(PAGE_TABLE);
	const u64 filled = counter_sum(CNT_TABLES_FILLED);
	struct page *page = user_page(), *second;
	pte_t *ptep;

	mm = test_mm_enter();
	test_pte_page(mm, ADDR);
	second = plain_table();
	ptep = page_to_virt(second);
	plain_table_set(mm, ADDR, ptep, entry_of(page));
	mmap_read_lock(mm);
	KEXPECT(t, !plain_table_link(mm, ADDR, second));
	mmap_read_unlock(mm);
	KEXPECT(t, linked_table() != second && (second->pg_flags & PG_PLAIN_TABLE));
	KEXPECT_EQ(t, counter_sum(CNT_TABLES_FILLED), filled);
	plain_table_set(mm, ADDR + PAGE_SIZE, ptep + 1, entry_of(page)); /* a plain store */
	KEXPECT_EQ(t, atomic_read(&page->refcount), 3);
	drop_and_free(second);
	KEXPECT_EQ(t, atomic_read(&page->refcount), 1);
	put_page(page);
	leave();
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

static struct page *late_table;
static bool late_linked;

static void link_late(void)
{
	mmap_read_lock(mm);
	late_linked = plain_table_link(mm, ADDR, late_table);
	mmap_read_unlock(mm);
}

/* Make the place's table while somebody who has one for it, too, waits for the lock. */
static void link_before_the_waiter(struct spinlock *lock) __must_hold(lock)
{
	struct table_changes changes;

	late_await(lock);
	table_changes_init(&changes);
	BUG_ON(tables_prepare(mm, &changes, ADDR, ADDR + PAGE_SIZE));
	table_changes_commit(&changes);
}

static void the_lock_says_who_is_first(struct ktest *t)
{
	const s64 tables = page_kind_count(PAGE_TABLE);

	if (!late_begin(t, link_late))
		return;
	mm = test_mm_enter();
	BUG_ON(!pmd_alloc_upper(mm, ADDR));
	late_table = plain_table();
	spin_lock(&mm->page_table_lock);
	late_go();
	link_before_the_waiter(&mm->page_table_lock);
	spin_unlock(&mm->page_table_lock);
	late_end();
	KEXPECT(t, !late_linked && linked_table() != late_table);
	drop_and_free(late_table);
	leave();
	KEXPECT_EQ(t, page_kind_count(PAGE_TABLE), tables);
}

#define FROM (3 * ADDR) /* no upper level serves both */

static void move_late(void)
{
	mm_use(mm);
	BUG_ON(do_mremap(FROM, PMD_SIZE, PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, ADDR) !=
	       (long)ADDR);
	mm_use(NULL);
}

/* When it has made the upper levels, the move waits for the lock once more: to set the link. */
static void link_before_the_mover(struct spinlock *lock) __must_hold(lock)
{
	while (!pmd_find(mm, ADDR)) {
		late_await(lock);
		late_let_pass(lock);
	}
	link_before_the_waiter(lock);
}

/* So too where the second one comes with mremap: its entries go to the first one. */
static void a_moved_table_gives_way(struct ktest *t)
{
	struct page *first;
	u32 v = 0;

	if (!whole_tables_enabled) {
		ktest_skip(t, "tables are changed by their entries");
		return;
	}
	if (!late_begin(t, move_late))
		return;
	mm = test_mm_enter();
	KEXPECT_EQ(t,
		   do_mmap(FROM, PMD_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   FROM);
	KEXPECT_EQ(t, put_user32(FROM, 4711), 0);
	spin_lock(&mm->page_table_lock);
	late_go();
	link_before_the_mover(&mm->page_table_lock);
	first = linked_table();
	spin_unlock(&mm->page_table_lock);
	late_end();
	KEXPECT(t, linked_table() == first);
	KEXPECT_EQ(t, get_user32(ADDR, &v), 0);
	KEXPECT_EQ(t, v, 4711);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"entries_are_counted", entries_are_counted},
	{"a_drop_ends_with_the_table", a_drop_ends_with_the_table},
	{"the_second_table_is_plain_again", the_second_table_is_plain_again},
	{"the_lock_says_who_is_first", the_lock_says_who_is_first},
	{"a_moved_table_gives_way", a_moved_table_gives_way},
};
KTEST_SUITE(plain_table_suite, "plain_table", "page tables that nobody can reach", true, cases);
