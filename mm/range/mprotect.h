/* Changing the rights of mappings. */
#pragma once

#include "mm/table/pgtable.h"

/* @pte with the rights that it should have in @vma: those of the VMA, but no write to a shared page
 * of private memory, which is the write fault's to copy. */
pte_t vma_pte_rights(const struct vma *vma, pte_t pte);

/* True if no other entry maps the page of @pte, which is present. The PTE page is locked. */
static inline bool is_mapped_alone(pte_t pte)
{
	ASSERT(pte_present(pte));
	return !pte_special(pte) && atomic_read(&present_pte_page(pte)->refcount) == 1;
}

/* Private memory is written in place only if nothing else maps the page. */
static inline bool may_write_in_place(const struct vma *vma, pte_t pte)
{
	return (vma->flags & VM_SHARED) || is_mapped_alone(pte);
}

enum rights_change {
	RIGHTS_ANY,
	RIGHTS_WRITE_ONLY, /* all others were there before, and are */
};

/*
 * Give the entries of [start, end) the rights that the flags of their VMAs say. mmap_lock held.
 */
void change_protection(struct mm *mm, unsigned long start, unsigned long end,
		       enum rights_change change);
