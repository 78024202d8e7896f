/*
 * Families of address spaces; see family.h. Lock: mmap_lock for mm->family, which stays once set.
 */
#include "mm/range/family.h"

#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "mm/frame/slab.h"
#include "mm/vma/mmap_lock.h"

static KMEM_CACHE(family_cache, struct mm_family);

int family_join(struct mm *child, struct mm *parent)
{
	mmap_assert_write_locked(parent);
	ASSERT(!child->family);
	if (!parent->family) {
		struct mm_family *family = kmem_cache_zalloc(&family_cache);

		if (!family)
			return -ENOMEM;
		atomic_set(&family->members, 1);
		parent->family = family;
	}
	atomic_inc(&parent->family->members);
	child->family = parent->family;
	return 0;
}

void family_leave(struct mm *mm)
{
	ASSERT(!mm->vmas.count); /* what it maps may be shared */
	if (mm->family && atomic_dec_and_test(&mm->family->members))
		kmem_cache_free(&family_cache, mm->family);
}
