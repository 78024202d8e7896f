/*
 * Between guest-physical addresses and the direct map. `__va` and `__pa` are for direct-map
 * addresses only; __pa_symbol is for objects of the image.
 */
#pragma once

#include "kernel/lib/layout.h"
#include "kernel/lib/types.h"

#define __va(pa) ((void *)(DIRECT_MAP + (paddr_t)(pa)))
#define __pa(va) ((paddr_t)((vaddr_t)(va)-DIRECT_MAP))
#define __pa_symbol(sym) ((paddr_t)((vaddr_t)(sym)-KERNEL_BASE))

static inline void *pfn_to_virt(pfn_t p)
{
	return __va(p.v << PAGE_SHIFT);
}

static inline pfn_t virt_to_pfn(const void *va)
{
	return (pfn_t){__pa(va) >> PAGE_SHIFT};
}
