/* Changing the rights of mappings. */
#pragma once

#include "mm/pgtable.h"

/* @pte with the rights that it should have in @vma: those of the VMA, but no write to a shared page
 * of private memory, which is the write fault's to copy. */
pte_t vma_pte_rights(const struct vma *vma, pte_t pte);
/* Private memory is written in place only if nothing else maps the page. The page is locked. */
static inline bool may_write_in_place(const struct vma *vma, pte_t pte)
{
	if (vma->flags & VM_SHARED)
		return true;
	return !pte_special(pte) && atomic_read(&pte_page(pte)->refcount) == 1;
}
/*
 * Give the entries of [start, end) of @vma the rights that its flags say. @only_write: they had all
 * of them before, but for the right to write. mmap_lock held.
 */
void change_protection(struct vma *vma, unsigned long start, unsigned long end, bool only_write);
