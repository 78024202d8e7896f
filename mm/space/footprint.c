/*
 * The footprint of an address space, counted from its page tables.
 *
 * Lock: page_table_lock, so that tables stay while they are read. Neither mmap_lock nor a PTE
 * page's lock, because whoever holds them may wait for memory.
 */
#include "mm/space/footprint.h"

#include "mm/frame/page.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

/* What the PTE page that @pmd links maps. */
static unsigned long pages_below(pmd_t pmd)
{
	const pte_t *e = pte_offset(pmd, 0), *end = e + PTRS_PER_TABLE;
	unsigned long n = 0;

	for (; (e = pte_next_used(e, end)) != end; e++)
		n += !pte_special((pte_t){READ_ONCE(e->v)});
	return n;
}

/* What the L2 table that @pud links holds, with the table itself. */
static void count_below(pud_t pud, struct footprint *f)
{
	const pmd_t *table = pmd_offset(pud, 0);

	f->tables++;
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		pmd_t pmd = {READ_ONCE(table[i].v)};

		if (pmd_none(pmd))
			continue;
		f->tables++;
		f->pages += pages_below(pmd);
	}
}

/* The first GiB from @addr on that has a table, below one L4 entry; where to go on. */
static unsigned long count_next(struct mm *mm, unsigned long addr, struct footprint *f)
{
	unsigned long end = pgd_addr_end(addr, USER_END + 1);
	pgd_t pgd;

	spin_lock(&mm->page_table_lock);
	pgd.v = READ_ONCE(pgd_offset(mm, addr)->v);
	if (!pgd_none(pgd) && !(addr & (PGD_SIZE - 1)))
		f->tables++;
	while (!pgd_none(pgd) && addr < end) {
		pud_t pud = {READ_ONCE(pud_offset(pgd, addr)->v)};

		addr += PUD_SIZE;
		if (!pud_none(pud)) {
			count_below(pud, f);
			break;
		}
	}
	spin_unlock(&mm->page_table_lock);
	return pgd_none(pgd) ? end : addr;
}

struct footprint mm_footprint(struct mm *mm)
{
	struct footprint f = {.tables = 1};

	for (unsigned long addr = 0; addr < USER_END;)
		addr = count_next(mm, addr, &f);
	return f;
}
