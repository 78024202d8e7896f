/*
 * Borrowed address spaces; see test_mm.h.
 */
#include "tests/unit/test_mm.h"

#include "kernel/irqflags.h"
#include "kernel/layout.h"
#include "mm/mmap_lock.h"
#include "mm/tlb.h"
#include "mm/zap.h"

void test_mm_switch(struct mm *mm)
{
	unsigned long flags;

	vma_forget_all();
	flags = local_irq_save();
	current->mm = mm;
	switch_mm(mm);
	local_irq_restore(flags);
}

struct mm *test_mm_enter(void)
{
	struct mm *mm = mm_alloc();

	BUG_ON(!mm);
	test_mm_switch(mm);
	return mm;
}

void test_mm_leave(struct mm *mm)
{
	test_mm_switch(NULL);
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
	struct table_changes unlinked = {.n = 0};

	tlb_gather_mmu(&tlb, mm);
	spin_lock(&mm->page_table_lock);
	free_pgtables(&tlb, &unlinked, start, end, 0, USER_END + PAGE_SIZE);
	table_changes_commit(&unlinked);
	spin_unlock(&mm->page_table_lock);
	tlb_finish_mmu(&tlb);
}
