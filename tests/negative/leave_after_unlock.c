/* expect: cannot call function 'pte_unmap_unlock' while role 'lazy_mmu_role' is held */
/* The batch is issued after others can lock the PTE page. */
#include "mm/lazy/lazy_mmu.h"
#include "mm/table/pgtable.h"

void leave_after_unlock(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte);
void leave_after_unlock(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte)
{
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd, addr, &ptl);
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	set_pte_at(mm, addr, ptep, pte);
	pte_unmap_unlock(ptep, ptl);
	arch_leave_lazy_mmu_mode(state);
}
