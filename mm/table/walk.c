/*
 * The walks of walk.h. Upper levels are read without a lock: tables that a VMA may use stay (mm.h).
 */
#include "mm/table/walk.h"

#include "kernel/debug/printk.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "mm/vma/mmap_lock.h"

/* Tables for so much are made in one go: a bound on the time that page_table_lock is held. */
#define ALLOC_CHUNK (TABLE_CHANGES_MAX / 2 * PMD_SIZE)

/* skip_hole() below one L2 table, where the entry @pmd of @addr is empty: holes may be large. */
static unsigned long skip_empty(const pmd_t *pmd, unsigned long addr, unsigned long end)
{
	end = pud_addr_end(addr, end);
	do
		addr = pmd_addr_end(addr, end);
	while (addr != end && pmd_none(pmdp_get(++pmd)));
	return addr;
}

/* The next address at which there may be a PTE page, from one without; @pmd: NULL, or its entry. */
static unsigned long skip_hole(const struct mm *mm, const pmd_t *pmd, unsigned long addr,
			       unsigned long end)
{
	pgd_t pgd;

	if (pmd)
		return skip_empty(pmd, addr, end);
	pgd = pgdp_get(pgd_offset(mm, addr));
	if (pgd_none(pgd))
		return pgd_addr_end(addr, end);
	if (pud_none(pudp_get(pud_offset(pgd, addr))))
		return pud_addr_end(addr, end);
	return pmd_addr_end(addr, end);
}

int walk_pte_ranges(struct vma *vma, unsigned long addr, unsigned long end, pte_range_fn fn,
		    void *arg)
{
	int err = 0;

	mmap_assert_locked(vma->mm);
	while (addr < end && !err) {
		pmd_t *pmd = pmd_find(vma->mm, addr);
		unsigned long next = pmd_addr_end(addr, end);

		if (!pmd || pmd_none(pmdp_get(pmd)))
			next = skip_hole(vma->mm, pmd, addr, end);
		else
			err = fn(vma, pmd, addr, next, arg);
		addr = next;
	}
	return err;
}

int walk_pte_ranges_alloc(struct vma *vma, unsigned long addr, unsigned long end, pte_range_fn fn,
			  void *arg)
{
	int err = 0;

	for (unsigned long next; addr < end && !err; addr = next) {
		next = min(end, ALIGN_DOWN(addr, ALLOC_CHUNK) + ALLOC_CHUNK);
		err = tables_alloc(vma->mm, addr, next);
		if (!err)
			err = walk_pte_ranges(vma, addr, next, fn, arg);
	}
	return err;
}

/* True if it links, or maps, a frame of memory. Whatever the tables hold, this must not panic. */
static bool print_entry(const char *level, u64 v)
{
	printk("#   %s %016lx%s%s%s%s%s%s\n", level, v, v & _PAGE_PRESENT ? " present" : "",
	       v & _PAGE_RW ? " rw" : "", v & _PAGE_USER ? " user" : "", v & _PAGE_NX ? " nx" : "",
	       v & _PAGE_ACCESSED ? " A" : "", v & _PAGE_DIRTY ? " D" : "");
	return (v & _PAGE_PRESENT) && pte_pfn((pte_t){v}).v < max_pfn;
}

void page_walk_print(const struct mm *mm, unsigned long addr)
{
	static const char *const levels[] = {"", "L1", "L2", "L3", "L4"};
	const u64 *table;

	if (!mm || addr > USER_END)
		mm = &init_mm;
	if (!mm->pgd)
		return;
	printk("# page walk of %#lx:\n", addr);
	table = (const u64 *)mm->pgd;
	for (unsigned level = 4; level; level--) {
		u64 v = table[addr >> (PAGE_SHIFT + 9 * (level - 1)) & (PTRS_PER_TABLE - 1)];

		if (!print_entry(levels[level], v) || (level < 4 && (v & _PAGE_PSE)))
			return;
		table = pfn_to_virt(pte_pfn((pte_t){v}));
	}
}

static void report_walk(const struct panic_context *c)
{
	if (c->addr)
		page_walk_print(current->mm, c->addr);
}
PANIC_REPORT(10, report_walk);
