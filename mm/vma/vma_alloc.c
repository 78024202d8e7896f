/*
 * The memory of VMAs. No locks: a new one is its maker's, and the last reference ends an old one.
 */
#include "mm/vma/vma_alloc.h"

#include "mm/frame/slab.h"
#include "mm/types/addr.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"

static KMEM_CACHE(vma_cache, struct vma);

struct vma *vma_alloc(struct mm *mm, unsigned long start, unsigned long end, unsigned long flags)
{
	struct vma *v = kmem_cache_zalloc(&vma_cache);

	if (v) {
		v->mm = mm;
		v->start = start;
		v->end = end;
		v->flags = flags;
		atomic_set(&v->refs, 1);
	}
	return v;
}

void vma_free_memory(struct vma *v)
{
	kmem_cache_free(&vma_cache, v);
}

void vma_free(struct vma *v)
{
	if (v->shmem)
		shmem_put(v->shmem);
	vma_put(v);
}

struct vma *vma_clone(const struct vma *v, struct mm *mm, unsigned long start, unsigned long end)
{
	struct vma *n = vma_alloc(mm, start, end, v->flags);

	if (!n)
		return NULL;
	n->pgoff = v->pgoff + ((start - v->start) >> PAGE_SHIFT);
	n->shmem = v->shmem;
	if (n->shmem)
		shmem_get(n->shmem);
	return n;
}
