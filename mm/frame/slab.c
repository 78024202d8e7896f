/*
 * Object caches. A slab is one frame: a header, then objects; free objects are linked through their
 * first word. A slab that becomes empty goes back to the frame allocator.
 *
 * Lock: each cache's own guards its slabs and its list.
 */
#include "mm/frame/slab.h"

#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "mm/frame/page.h"

#define SLAB_POISON 0x5a

struct slab {
	struct kmem_cache *cache;
	void *free;
	unsigned in_use, capacity;
	struct list_head node;
};
#define SLAB_HEADER ((sizeof(struct slab) + 15) & ~15UL)

static DEFINE_SPINLOCK(registry_lock, LOCK_SLAB);
static struct kmem_cache *all_caches __guarded_by(registry_lock);

static struct slab *slab_of(void *obj)
{
	return (struct slab *)((vaddr_t)obj & PAGE_MASK);
}

static void poison_object(const struct kmem_cache *c, void *obj)
{
#ifdef CONFIG_DEBUG
	memset((char *)obj + sizeof(void *), SLAB_POISON, c->size - sizeof(void *));
#else
	(void)c, (void)obj;
#endif
}

static void check_object(const struct kmem_cache *c, void *obj)
{
#ifdef CONFIG_DEBUG
	const u8 *p = obj;

	for (unsigned i = sizeof(void *); i < c->size; i++)
		if (p[i] != SLAB_POISON)
			panic("%s: free object %p was written at offset %u", c->name, obj, i);
#else
	(void)c, (void)obj;
#endif
}

/* Its size is whole words: memset(), which looks after odd bytes, takes twice as long. */
static void clear_object(const struct kmem_cache *c, void *obj)
{
	size_t words = c->size / sizeof(u64);

	__asm__ volatile("rep stosq" : "+D"(obj), "+c"(words) : "a"(0UL) : "memory");
}

static struct slab *new_slab(struct kmem_cache *c)
{
	struct page *page = alloc_page(PAGE_SLAB);
	struct slab *s;

	if (!page)
		return NULL;
	s = page_to_virt(page);
	*s = (struct slab){.cache = c, .capacity = (PAGE_SIZE - SLAB_HEADER) / c->size};
	for (unsigned i = s->capacity; i-- > 0;) {
		void **obj = (void **)((char *)s + SLAB_HEADER + i * c->size);

		poison_object(c, obj);
		*obj = s->free;
		s->free = obj;
	}
	return s;
}

static void register_cache(struct kmem_cache *c)
{
	spin_lock(&registry_lock);
	if (!c->registered) {
		c->registered = true;
		c->next_cache = all_caches;
		all_caches = c;
	}
	spin_unlock(&registry_lock);
}

static void *take_object(struct kmem_cache *c, struct slab *s) __must_hold(c->lock)
{
	void **obj = s->free;

	s->free = *obj;
	c->objects++;
	if (++s->in_use == s->capacity)
		list_del(&s->node);
	return obj;
}

void *kmem_cache_zalloc(struct kmem_cache *c)
{
	struct slab *s;
	void *obj;

	if (unlikely(alloc_failure_injected()))
		return NULL;
	if (unlikely(!READ_ONCE(c->registered)))
		register_cache(c);
	spin_lock(&c->lock);
	if (list_empty(&c->partial)) {
		s = new_slab(c);
		if (!s) {
			spin_unlock(&c->lock);
			return NULL;
		}
		list_add(&s->node, &c->partial);
	}
	obj = take_object(c, list_first_entry(&c->partial, struct slab, node));
	spin_unlock(&c->lock);
	check_object(c, obj);
	clear_object(c, obj);
	return obj;
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
	struct slab *s = slab_of(obj), *empty = NULL;

	BUG_ON(s->cache != c);
	poison_object(c, obj);
	spin_lock(&c->lock);
	*(void **)obj = s->free;
	s->free = obj;
	c->objects--;
	if (s->in_use-- == s->capacity)
		list_add(&s->node, &c->partial);
	if (!s->in_use) {
		list_del(&s->node);
		empty = s;
	}
	spin_unlock(&c->lock);
	if (empty)
		free_page(virt_to_page(empty));
}

/* Not analysed: caches are only ever added, in front. */
s64 kmem_objects(void) __no_thread_safety
{
	s64 sum = 0;

	for (struct kmem_cache *c = all_caches; c; c = c->next_cache)
		sum += READ_ONCE(c->objects);
	return sum;
}

/* Not analysed: as kmem_objects(). */
static bool is_registered(const struct kmem_cache *cache) __no_thread_safety
{
	for (const struct kmem_cache *c = all_caches; c; c = c->next_cache)
		if (c == cache)
			return true;
	return false;
}

const char *slab_check(const void *frame)
{
	const struct slab *s = frame;
	unsigned free = 0;

	if (!is_registered(s->cache))
		return "it belongs to no cache";
	if (!s->in_use)
		return "it is empty, and was not given back";
	for (void *const *obj = s->free; obj && free <= s->capacity; obj = *obj, free++)
		if (((vaddr_t)obj & PAGE_MASK) != (vaddr_t)frame)
			return "a free object lies elsewhere";
	return free + s->in_use == s->capacity ? NULL : "its free objects are not those not in use";
}
