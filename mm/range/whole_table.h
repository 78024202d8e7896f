/*
 * Table-wise operations: where a range function covers a whole PTE page it changes the page as one.
 *
 *  - Write protection of all entries is one bit of the L2 entry that links the page. The entries
 *    below keep their RW bits; who needs to write pushes the protection down to those that still
 *    need it, and gives the L2 entry its bit back: pmd_push_down().
 *  - A new table is filled by plain stores before anybody can reach it, then handed to the backend
 *    with what it holds, and linked.
 *  - A table that goes with all it maps is unlinked first, and read when no CPU can walk it.
 *  - A table whose image has the same place in its own block is moved by its link; one whose
 *    entries go to other places is taken out for that: mm/range/shift.h.
 *
 * What an entry's RW bit means (mm/space/audit.c checks it): under an L2 entry with RW, that its
 * page may be written there and then. Under one without, only that no other entry maps the private
 * page; and with PG_SHARED_BELOW, not even that.
 *
 * The lock of the PTE page guards the L2 entry's RW bit and PG_SHARED_BELOW.
 */
#pragma once

#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

/* The boot parameter tables=: off changes entries only. */
extern bool whole_tables_enabled;

/* True if [addr, end) is all that one PTE page covers, and may be treated so. */
static inline bool is_whole_table(unsigned long addr, unsigned long end)
{
	return whole_tables_enabled && pmd_start(addr) == addr && end - addr == PMD_SIZE;
}

/* True if the block of @size bytes that @addr lies in is all within [floor, ceiling). */
static inline bool is_within(unsigned long addr, unsigned long size, unsigned long floor,
			     unsigned long ceiling)
{
	unsigned long block = ALIGN_DOWN(addr, size);

	return block >= floor && block + size <= ceiling;
}

/* True if at least @min entries of the PTE page that @pmd links are in use. A peek. */
bool table_holds(pmd_t pmd, unsigned min);

/* --- the right to write, by the L2 entry; the PTE page is locked, no section is open --- */

static inline bool pmd_write(pmd_t pmd)
{
	return pmd.v & _PAGE_RW;
}

/* Nobody writes through the table on return. */
void pmd_wrprotect(struct mm *mm, pmd_t *pmd, unsigned long addr) __must_hold(ptl_role)
	__excludes(lazy_mmu_role);
/* Writing is up to the entries again. TLBs may be narrower for a while: spurious faults. */
void pmd_mkwrite(struct mm *mm, pmd_t *pmd, unsigned long addr) __must_hold(ptl_role)
	__excludes(lazy_mmu_role);
/* Link @table, which the backend has, with all rights. page_table_lock is held, no other lock. */
void pmd_link(struct mm *mm, pmd_t *pmd, unsigned long addr, struct page *table);
/* True if all that the PTE page of @addr maps is @vma's. */
static inline bool covers_table(const struct vma *vma, unsigned long addr)
{
	return vma->start <= pmd_start(addr) && vma->end - pmd_start(addr) >= PMD_SIZE;
}
/*
 * Make the L2 entry of @addr grant writing, and take RW from the entries that may not be written:
 * those of VMAs that do not permit it, and of pages that somebody else may map too. Takes and
 * releases the lock of the PTE page. mmap_lock is held, either way; or that of @vma, in which @addr
 * lies, if it covers the table. push_down.c.
 */
void pmd_push_down(const struct vma *vma, pmd_t *pmd, unsigned long addr);
/*
 * The same for fork, before anybody needs to write: all private memory below the L2 entry of @addr,
 * which grants writing, loses RW, by a changed copy. Only where a hypervisor owns the tables. False:
 * no memory for the copy, nothing has changed. mmap_lock is held for writing, and every VMA is
 * marked.
 */
bool pmd_push_down_early(struct mm *mm, pmd_t *pmd, unsigned long addr);
/*
 * True if it is cheaper to swing in a changed copy of a table than to change @losers of its @used
 * entries: most of them must lose RW, and some, because the others are validated for nothing.
 */
static inline bool swing_pays(unsigned losers, unsigned used)
{
	return losers >= pv_table_costs.swing_min + used / 2;
}

/* --- tables that nobody can reach: plain_table_alloc() makes them --- */

/* Store an entry of a plain table; @addr is where the table will be linked. */
static inline void plain_table_set(struct mm *mm, unsigned long addr, pte_t *ptep, pte_t pte)
{
	ASSERT(virt_to_page(ptep)->pg_flags & PG_PLAIN_TABLE);
	count(CNT_PTE_UPDATES);
	trace(TRACE_SET, mm_context(mm), addr, pte.v);
	WRITE_ONCE(ptep->v, pte.v);
}
/*
 * Hand the table to the backend, which looks at what it holds, and link it at @addr. False: there
 * is a table by now; then this one is plain again. Takes page_table_lock.
 */
bool plain_table_link(struct mm *mm, unsigned long addr, struct page *table);
/* Hand the table to the backend, which looks at what it holds; the link is the caller's affair. */
void plain_table_adopt(struct mm *mm, struct page *table);
/* A table without a link, which no TLB knows any more, becomes plain memory, with no other flag. */
void table_make_plain(struct page *table);
/* Drop what a plain table maps: references, and D bits to their pages. */
void plain_table_drop(struct page *table);
