/* expect: 'set_pte_at' requires holding role 'ptl_role' exclusively */
/* An entry is written without the lock of its page. */
#include "mm/table/pgtable.h"

void pte_without_lock(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte);
void pte_without_lock(struct mm *mm, pmd_t *pmd, unsigned long addr, pte_t pte)
{
	set_pte_at(mm, addr, pte_offset(*pmd, addr), pte);
}
