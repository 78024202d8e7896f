/*
 * Moving what whole PTE pages map; see shift.h. The tables are plain memory while they are filled;
 * one that exists at the new place already is changed in a lazy section, as by everybody.
 */
#include "mm/range/shift.h"

#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "mm/lazy/tlb.h"
#include "mm/range/pte_section.h"
#include "mm/range/whole_table.h"
#include "mm/table/tables.h"
#include "mm/vma/mmap_lock.h"

static pte_t *entries_of(const struct page *table)
{
	return page_to_virt(table);
}

static void give_spare(struct shift *s, struct page *table)
{
	table->next_free = s->spare;
	s->spare = table;
}

static struct page *take_spare(struct shift *s)
{
	struct page *table = s->spare;

	BUG_ON(!table);
	s->spare = table->next_free;
	return table;
}

/* --- the first pass --- */

void shift_init(struct shift *s, struct mm *mm)
{
	s->mm = mm;
	s->spare = NULL;
	s->image = NULL;
	s->image_end = 0;
	s->n = 0;
}

int shift_reserve(struct shift *s, pmd_t pmd, unsigned long new, unsigned long len)
{
	unsigned long first = pmd_start(new), last = pmd_start(new + len - 1);
	bool is_open = s->image_end == first + PMD_SIZE;
	struct page *table;

	mmap_assert_write_locked(s->mm);
	pfn_to_page(pmd_pfn(pmd))->pg_flags |= PG_SHIFT_WHOLE;
	s->image_end = last + PMD_SIZE;
	if (is_open || first == last)
		return 0;
	table = plain_table_alloc_uncleared(s->mm);
	if (!table)
		return -ENOMEM;
	give_spare(s, table);
	return 0;
}

void shift_leave_alone(pmd_t pmd)
{
	pfn_to_page(pmd_pfn(pmd))->pg_flags &= ~PG_SHIFT_WHOLE;
}

bool is_shifted(pmd_t pmd)
{
	return pfn_to_page(pmd_pfn(pmd))->pg_flags & PG_SHIFT_WHOLE;
}

/* --- the second pass --- */

/* To be repeated for every page in its own history; in release builds this is nothing. */
static void trace_entries(struct mm *mm, const pte_t *from, unsigned n, unsigned long addr,
			  unsigned long new)
{
	for (; n--; from++, addr += PAGE_SIZE, new += PAGE_SIZE) {
		if (pte_none(*from))
			continue;
		trace(TRACE_CLEAR, mm_context(mm), addr, from->v);
		trace(TRACE_SET, mm_context(mm), new, from->v);
	}
}

/* The section: entries of a plain table go to one that is in use. */
static void set_entries(struct mm *mm, pmd_t *pmd, unsigned long addr, const pte_t *from,
			unsigned n)
{
	struct pte_section section;
	pte_t *ptep = pte_section_begin(&section, pmd, addr);

	for (unsigned i = 0; i < n; i++)
		if (!pte_none(from[i]))
			set_pte_at(mm, addr + i * PAGE_SIZE, ptep + i, from[i]);
	pte_section_end(&section);
}

/*
 * Upwards, and what lies between is none. @from may lie in the image itself: all else that it held
 * has been copied by then, so what is cleared after the entries have left is not needed.
 */
static void fill_image(struct shift *s, unsigned index, const pte_t *from, unsigned n)
{
	pte_t *to = entries_of(s->image);

	memmove(to + index, from, n * sizeof(*to));
	memset(to + s->filled, 0, (index - s->filled) * sizeof(*to));
	s->filled = index + n;
}

/* Unless others have made a table there, for a neighbouring VMA: then it takes the entries. */
static void link_image(struct shift *s)
{
	if (!s->image)
		return;
	memset(entries_of(s->image) + s->filled, 0, (PTRS_PER_TABLE - s->filled) * sizeof(pte_t));
	if (!plain_table_link(s->mm, s->block, s->image)) {
		set_entries(s->mm, pmd_find(s->mm, s->block), s->block, entries_of(s->image),
			    PTRS_PER_TABLE);
		give_spare(s, s->image);
	}
	s->image = NULL;
}

/* @n entries, from @from on, to @new; @table: an image can be made of it. */
static void move_to_image(struct shift *s, const pte_t *from, unsigned n, unsigned long new,
			  struct page *table)
{
	if (!s->image || s->block != pmd_start(new)) {
		pmd_t *pmd = pmd_find(s->mm, new);

		link_image(s);
		if (!pmd_none(*pmd)) {
			set_entries(s->mm, pmd, new, from, n);
			return;
		}
		s->image = table ? table : take_spare(s);
		s->block = pmd_start(new);
		s->filled = 0;
	}
	fill_image(s, pte_index(new), from, n);
}

/* What @t maps, of which @table holds the entries and is plain: one part, or two. */
static void move_entries(struct shift *s, const struct shifted *t, struct page *table)
{
	const pte_t *from = entries_of(table) + pte_index(t->addr);
	unsigned n = t->len / PAGE_SIZE, first = PTRS_PER_TABLE - pte_index(t->new);
	unsigned long new = t->new;

	count(CNT_TABLES_SHIFTED);
	trace_entries(s->mm, from, n, t->addr, new);
	if (first < n) {
		move_to_image(s, from, first, new, NULL);
		from += first;
		n -= first;
		new = pmd_start(new) + PMD_SIZE;
	}
	move_to_image(s, from, n, new, table);
	if (s->image != table)
		give_spare(s, table);
}

/* What their L2 entry forbids, the entries must: that of the new place may permit it. */
static void protect_entries(struct page *table)
{
	pte_t *e = entries_of(table);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		e[i] = pte_wrprotect(e[i]);
}

/* No CPU walks it any more, so what it holds now is final, A and D bits too. */
static struct page *take_plain(pmd_t link)
{
	struct page *table = pfn_to_page(pmd_pfn(link));

	table_make_plain(table);
	if (!pmd_write(link))
		protect_entries(table);
	return table;
}

/* The links that they had are left in @link. */
static void unlink_tables(struct shift *s, pmd_t link[])
{
	unsigned long start = pmd_start(s->table[0].addr);
	struct table_changes changes;

	table_changes_init(&changes);
	spin_lock(&s->mm->page_table_lock);
	for (unsigned i = 0; i < s->n; i++) {
		link[i] = *s->table[i].pmd;
		trace(TRACE_TABLE, mm_context(s->mm), pmd_start(s->table[i].addr), 0);
		table_change(&changes, s->table[i].pmd, 0);
	}
	table_changes_commit(&changes);
	spin_unlock(&s->mm->page_table_lock);
	flush_tlb_tables(s->mm, start, pmd_start(s->table[s->n - 1].addr) + PMD_SIZE);
}

static void move_collected(struct shift *s)
{
	pmd_t link[SHIFT_TABLES_MAX];

	if (s->n)
		unlink_tables(s, link);
	for (unsigned i = 0; i < s->n; i++)
		move_entries(s, &s->table[i], take_plain(link[i]));
	s->n = 0;
}

void shift_table(struct shift *s, struct shifted table)
{
	mmap_assert_write_locked(s->mm);
	s->table[s->n++] = table;
	if (s->n == SHIFT_TABLES_MAX)
		move_collected(s);
}

void shift_finish(struct shift *s)
{
	mmap_assert_write_locked(s->mm);
	move_collected(s);
	link_image(s);
	while (s->spare)
		free_page(take_spare(s)); /* not cleared, so nothing for the reserve of tables */
}
