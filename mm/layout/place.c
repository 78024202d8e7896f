/*
 * Where mmap and mremap find a place. No side effects; mmap_lock is held.
 */
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "mm/layout/layout.h"
#include "mm/layout/mman.h"
#include "mm/vma/vma.h"

/* Exactly @addr, where nothing keeps a distance from a stack. */
static long place_fixed(const struct mm *mm, unsigned long addr, unsigned long len,
			unsigned long flags)
{
	const struct vma *next;

	if (addr > USER_END - len)
		return -ENOMEM;
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (addr < MMAP_FLOOR)
		return -EPERM;
	next = vma_find(&mm->vmas, addr);
	if ((flags & MAP_FIXED_NOREPLACE) && next && next->start < addr + len)
		return -EEXIST;
	return addr;
}

/* Whether @addr, a hint, can be had. */
static bool hint_is_free(const struct mm *mm, unsigned long addr, unsigned long len,
			 unsigned long end)
{
	const struct vma *next = vma_find(&mm->vmas, addr);

	return len <= end && addr <= end - len && (!next || vma_start_gap(next) >= addr + len);
}

long mmap_place(struct mm *mm, unsigned long addr, unsigned long len, unsigned long flags)
{
	bool low = flags & MAP_32BIT;

	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return place_fixed(mm, addr, len, flags);
	addr &= PAGE_MASK;
	if (addr)
		addr = max(addr, MMAP_FLOOR);
	if (addr && hint_is_free(mm, addr, len, low ? MMAP_32BIT_CEILING : USER_END))
		return addr;
	addr = low ? vma_find_gap(&mm->vmas, len, MMAP_32BIT_FLOOR, MMAP_32BIT_CEILING)
		   : vma_find_gap(&mm->vmas, len, MMAP_FLOOR, MMAP_CEILING);
	return addr ? (long)addr : -ENOMEM;
}
