/*
 * populate: new pages for a whole range, in one section for each PTE page. Entries that exist
 * already and do not serve (the zero page where writing is wanted) are the fault handler's.
 *
 * Locks: mmap_lock for reading, then the PTE page's.
 */
#include "mm/range/populate.h"

#include "kernel/lib/errno.h"
#include "mm/range/fault.h"
#include "mm/range/pte_section.h"
#include "mm/range/whole_table.h"
#include "mm/range/zeromap.h"
#include "mm/table/tables.h"
#include "mm/table/walk.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"

/* @prot: the VMA's. Accessed but clean: the D bit will say whether the page was ever written. */
static __always_inline pte_t new_entry(struct vma *vma, unsigned long addr, pgprot_t prot)
{
	struct page *page;

	if (vma->shmem)
		page = shmem_get_page(vma->shmem, vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT));
	else
		page = alloc_page_zeroed(PAGE_USER);
	return page ? mk_pte(page, prot) : (pte_t){0};
}

/* Give back what a table holds that was built, and then was not wanted. */
static void discard_table(struct page *table)
{
	plain_table_drop(table);
	table_free(table);
}

/* A table that does not exist yet is filled before it is linked. -EAGAIN: there is one by now. */
static int populate_new_table(struct vma *vma, unsigned long start, unsigned long end)
{
	struct page *table = plain_table_alloc(vma->mm);
	const pgprot_t prot = vm_page_prot(vma->flags);
	pte_t *ptep;
	int err = 0;

	if (!table)
		return -ENOMEM;
	ptep = (pte_t *)page_to_virt(table) + pte_index(start);
	for (unsigned long addr = start; addr != end && !err; ptep++, addr += PAGE_SIZE) {
		pte_t pte = new_entry(vma, addr, prot);

		if (pte_none(pte))
			err = -ENOMEM;
		else
			plain_table_set(vma->mm, addr, ptep, pte);
	}
	if (!err && !plain_table_link(vma->mm, start, table))
		err = -EAGAIN;
	if (err)
		discard_table(table);
	return err;
}

int populate_entries(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end)
{
	const pgprot_t prot = vm_page_prot(vma->flags);
	struct pte_section s;
	pte_t *ptep;
	int err = 0;

	vma_assert_locked(vma);
	ptep = pte_section_begin(&s, pmd, addr);
	for (; addr != end && !err; ptep++, addr += PAGE_SIZE) {
		pte_t pte;

		if (!pte_none(ptep_get(ptep)))
			continue;
		pte = new_entry(vma, addr, prot);
		if (pte_none(pte))
			err = -ENOMEM;
		else
			set_pte_at(vma->mm, addr, ptep, pte);
	}
	pte_section_end(&s);
	return err;
}

static int populate_pte_range(struct vma *vma, pmd_t *pmd, unsigned long addr, unsigned long end,
			      void *arg __unused)
{
	return populate_entries(vma, pmd, addr, end);
}

/* The part of a range that one PTE page covers, or, without whole tables, all of it. */
static int populate_table(struct vma *vma, unsigned long addr, unsigned long end)
{
	if (whole_tables_enabled && (end - addr) >> PAGE_SHIFT >= pv_table_costs.fill_min) {
		pmd_t *pmd = pmd_alloc_upper(vma->mm, addr);
		int err = -EAGAIN;

		if (!pmd)
			return -ENOMEM;
		if (pmd_none(pmdp_get(pmd)))
			err = populate_new_table(vma, addr, end);
		if (err != -EAGAIN)
			return err;
	}
	return walk_pte_ranges_alloc(vma, addr, end, populate_pte_range, NULL);
}

/*
 * The first page of [addr, end) that its entry does not let be written; @end: there is none. A peek:
 * entries that others change are not ours.
 */
static unsigned long next_unwritable(const struct mm *mm, unsigned long addr, unsigned long end)
{
	for (unsigned long stop; addr < end; addr = stop) {
		const pmd_t *pmd = pmd_find(mm, addr);
		pmd_t table = pmd ? pmdp_get(pmd) : (pmd_t){0};
		const pte_t *ptep;

		if (pmd_none(table))
			return addr;
		stop = pmd_addr_end(addr, end);
		for (ptep = pte_offset(table, addr); addr != stop; ptep++, addr += PAGE_SIZE)
			if (!pte_write(pte_narrow(ptep_get(ptep), table)))
				return addr;
	}
	return end;
}

/*
 * Another thread may drop each page as soon as it is there: so only the end of the process ends it.
 */
static int fault_in_writable(struct vma *vma, unsigned long start, unsigned long end)
{
	while ((start = next_unwritable(vma->mm, start, end)) < end) {
		if (task_is_ending())
			return -EINTR;
		if (handle_mm_fault(vma, start, FAULT_WRITE) == FAULT_OOM)
			return -ENOMEM;
	}
	return 0;
}

/* Where a mapping of @vma goes beyond the end of its object, at most @end. */
static unsigned long end_of_object(const struct vma *vma, unsigned long end)
{
	unsigned long pages = vma->shmem ? shmem_pages(vma->shmem) : ~0UL;

	if (pages <= vma->pgoff)
		return vma->start;
	if (pages - vma->pgoff >= (end - vma->start) >> PAGE_SHIFT)
		return end;
	return vma->start + ((pages - vma->pgoff) << PAGE_SHIFT);
}

int populate_range(struct vma *vma, unsigned long start, unsigned long end, enum access access)
{
	const unsigned long limit = end_of_object(vma, end);
	int err = 0;

	mmap_assert_locked(vma->mm);
	if (vma->flags & VM_PFNMAP)
		return 0;
	if (limit < end) {
		err = limit > start ? populate_range(vma, start, limit, access) : 0;
		return err ? err : -EFAULT;
	}
	if (access == ACCESS_READ && !vma->shmem)
		return zeromap_page_range(vma, start, end);
	for (unsigned long addr = start, next; addr < end && !err; addr = next) {
		/* Entries alone: the tables of all of it are linked together. */
		next = whole_tables_enabled ? pmd_addr_end(addr, end) : end;
		err = populate_table(vma, addr, next);
	}
	if (!err && access == ACCESS_WRITE)
		err = fault_in_writable(vma, start, end);
	return err;
}
