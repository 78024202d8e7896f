/*
 * Borrowed address spaces; see test_mm.h.
 */
#include "tests/unit/lib/test_mm.h"

#include "kernel/lib/layout.h"
#include "mm/lazy/tlb.h"
#include "mm/range/zap.h"
#include "mm/vma/mmap_lock.h"

struct mm *test_mm_enter(void)
{
	struct mm *mm = mm_alloc();

	BUG_ON(!mm);
	mm_use(mm);
	return mm;
}

void test_mm_leave(struct mm *mm)
{
	mm_use(NULL);
	mm_put(mm);
}

pmd_t *test_pte_page(struct mm *mm, unsigned long addr)
{
	pmd_t *pmd = pmd_alloc(mm, addr);

	BUG_ON(!pmd);
	return pmd;
}

void test_free_tables(struct mm *mm, unsigned long start, unsigned long end)
{
	static struct mmu_gather tlb; /* too large for a stack; the tests are serial */
	struct table_changes unlinked;

	table_changes_init(&unlinked);
	tlb_gather_mmu(&tlb, mm);
	mmap_write_lock(mm);
	spin_lock(&mm->page_table_lock);
	free_pgtables(&tlb, &unlinked, start, end, (struct gap){0, USER_END + PAGE_SIZE});
	table_changes_commit(&unlinked);
	spin_unlock(&mm->page_table_lock);
	tlb_finish_mmu(&tlb);
	mmap_write_unlock(mm);
}
