/* expect: 'arch_enter_lazy_mmu_mode' requires holding role 'ptl_role' exclusively */
/* The one rule of 2006: a section is entered under the lock of the tables that it changes. */
#include "mm/lazy/lazy_mmu.h"

void enter_without_lock(void);
void enter_without_lock(void)
{
	arch_leave_lazy_mmu_mode(arch_enter_lazy_mmu_mode());
}
