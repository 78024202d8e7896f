/* Stacks that grow down. */
#pragma once

#include "mm/mm.h"

/*
 * A fault at @addr lies below the VMA that vma_find() gives. If that is a stack that may grow down
 * to it, it does. The VMA that contains @addr then, or NULL. mmap_lock is held for reading, and is
 * given back and taken again if there is a stack to grow.
 */
struct vma *stack_grow(struct mm *mm, unsigned long addr);
