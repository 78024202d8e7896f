/*
 * The one rule of mm/lazy/lazy_mmu.h as a pair: lock the PTE page, enter; leave, unlock.
 *
 * Range functions use the pair, but for two that spell it out, as the samples of the rule: mprotect
 * (change_pte_range) and zap (zap_pte_range), which reads the entries once more between the leave
 * and the unlock. Where a lock is held for longer than its section (the fault handler,
 * pmd_push_down) enter and leave stand alone.
 */
#pragma once

#include "mm/lazy/lazy_mmu.h"
#include "mm/table/pgtable.h"

struct pte_section {
	pte_t *ptep; /* the first entry, as pte_offset_map_lock() gave it */
	struct spinlock *ptl;
	lazy_mmu_state_t state;
};

/* Lock the PTE page that @pmd links, and enter; the entry of @addr. */
static inline pte_t *pte_section_begin(struct pte_section *s, pmd_t *pmd, unsigned long addr)
	__acquires(ptl_role, lazy_mmu_role)
{
	s->ptep = pte_offset_map_lock(pmd, addr, &s->ptl);
	s->state = arch_enter_lazy_mmu_mode();
	return s->ptep;
}

/* Leave, whereby all that was set and owed is effective; then unlock. */
static inline void pte_section_end(const struct pte_section *s) __releases(ptl_role, lazy_mmu_role)
{
	arch_leave_lazy_mmu_mode(s->state);
	pte_unmap_unlock(s->ptep, s->ptl);
}

/* A section that takes entries from one PTE page to another, which may be the same. */
struct pte_section_pair {
	pte_t *from, *to; /* the first entries */
	struct spinlock *from_ptl;
	struct spinlock *to_ptl; /* NULL: it is the same page */
	lazy_mmu_state_t state;
};

/*
 * Lock both PTE pages, that of @to_pmd inside the other, and enter. The order is the caller's to
 * answer for: nobody takes the two the other way round. Not analysed: clang knows no lock that is
 * one or two.
 */
static inline void pte_section_pair_begin(struct pte_section_pair *s, pmd_t *from_pmd,
					  unsigned long from, pmd_t *to_pmd, unsigned long to)
	__acquires(ptl_role, ptl_nested_role, lazy_mmu_role) __no_thread_safety
{
	s->from = pte_offset_map_lock(from_pmd, from, &s->from_ptl);
	s->to_ptl = NULL;
	if (from_pmd != to_pmd)
		s->to = pte_offset_map_lock_nested(to_pmd, to, &s->to_ptl);
	else
		s->to = pte_offset(pmdp_get(to_pmd), to);
	s->state = arch_enter_lazy_mmu_mode();
}

/* Leave, then unlock. Not analysed: as pte_section_pair_begin(). */
static inline void pte_section_pair_end(const struct pte_section_pair *s)
	__releases(ptl_role, ptl_nested_role, lazy_mmu_role) __no_thread_safety
{
	arch_leave_lazy_mmu_mode(s->state);
	if (s->to_ptl)
		pte_unmap_unlock_nested(s->to, s->to_ptl);
	pte_unmap_unlock(s->from, s->from_ptl);
}
