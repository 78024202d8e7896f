/* expect: 'lazy_mmu_role' is not held on every path through here */
/* An early return without leave. */
#include "mm/lazy/lazy_mmu.h"
#include "mm/table/pgtable.h"

int missing_leave(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte);
int missing_leave(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte)
{
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd, addr, &ptl);
	lazy_mmu_state_t state = arch_enter_lazy_mmu_mode();

	if (!pte_none(ptep_get(ptep)))
		return -1;
	set_pte_at(mm, addr, ptep, pte);
	arch_leave_lazy_mmu_mode(state);
	pte_unmap_unlock(ptep, ptl);
	return 0;
}
