/*
 * Object caches: fixed-size kernel objects cut from page frames.
 */
#pragma once

#include "kernel/lib/list.h"
#include "kernel/sync/spinlock.h"

struct kmem_cache {
	struct spinlock lock;
	const char *name;
	unsigned size;
	/* lock */
	struct list_head partial; /* slabs with a free object */
	s64 objects;		  /* in use */
	/* fixed, or under the registry's lock */
	struct kmem_cache *next_cache;
	bool registered;
};

#define KMEM_CACHE(var, type)                                                                      \
	struct kmem_cache var = {                                                                  \
		.lock = SPINLOCK_INIT(LOCK_SLAB),                                                  \
		.name = #var,                                                                      \
		.size = (sizeof(type) + 15) & ~15UL,                                               \
		.partial = LIST_HEAD_INIT(var.partial),                                            \
	};                                                                                         \
	static_assert(sizeof(type) <= 2000, "two objects must fit in a slab")

/* A zeroed object, 16-byte aligned; NULL when memory is exhausted. Task context. */
void *kmem_cache_zalloc(struct kmem_cache *c);
/* Debug builds poison the object and check the poison when it is used again. */
void kmem_cache_free(struct kmem_cache *c, void *obj);
/* Audits: what is wrong with the slab at @frame, or NULL. */
const char *slab_check(const void *frame);
/* Objects in use in all caches; exact only while nothing allocates. */
s64 kmem_objects(void);
