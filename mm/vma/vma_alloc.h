/* Making and ending VMAs. */
#pragma once

#include "mm/vma/vma.h"

/*
 * A new private VMA of @mm over @start..@end, with one reference; not in any set. NULL: no memory.
 */
struct vma *vma_alloc(struct mm *mm, unsigned long start, unsigned long end, unsigned long flags);
/* Give back a VMA that was detached, or never was in the layout. */
void vma_free(struct vma *v);
/* The end of the last reference: vma_put(). */
void vma_free_memory(struct vma *v);
/* A new VMA like @v, over @start..@end of it; not in any set. NULL: no memory. */
struct vma *vma_clone(const struct vma *v, struct mm *mm, unsigned long start, unsigned long end);
