/*
 * Shared anonymous memory. The pages of an object hang in a tree of three levels of 512 pointers.
 *
 * Locks: an object's own guards its tree; objects_lock the list of objects, for the audits.
 */
#include "mm/vma/shmem.h"

#include "kernel/debug/panic.h"
#include "mm/frame/slab.h"

#define LEVELS 3
#define FANOUT_SHIFT 9

struct shmem {
	atomic_t refs;
	unsigned audit_refs; /* who holds it, as far as an audit has found them */
	unsigned long pages; /* fixed */
	struct spinlock lock;
	void **root; /* lock */
	struct list_head node;
};

static KMEM_CACHE(shmem_cache, struct shmem);
static DEFINE_SPINLOCK(objects_lock, LOCK_MM_LIST);
static LIST_HEAD(objects);

struct shmem *shmem_create(unsigned long pages)
{
	struct shmem *s = kmem_cache_zalloc(&shmem_cache);

	if (!s)
		return NULL;
	atomic_set(&s->refs, 1);
	s->pages = pages;
	spin_lock_init(&s->lock, LOCK_SHMEM);
	spin_lock(&objects_lock);
	list_add(&s->node, &objects);
	spin_unlock(&objects_lock);
	return s;
}

void shmem_get(struct shmem *s)
{
	atomic_inc(&s->refs);
}

unsigned long shmem_pages(const struct shmem *s)
{
	return s->pages;
}

static void **new_node(void)
{
	struct page *page = alloc_page_zeroed(PAGE_KERNEL);

	return page ? page_to_virt(page) : NULL;
}

/* The slot of page @index, making the nodes on the way; NULL: no memory. */
static void **find_slot(struct shmem *s, unsigned long index) __must_hold(s->lock)
{
	void **slot = (void **)&s->root;

	for (int level = LEVELS - 1; level >= 0; level--) {
		if (!*slot && !(*slot = new_node()))
			return NULL;
		slot = (void **)*slot + (index >> level * FANOUT_SHIFT & ((1 << FANOUT_SHIFT) - 1));
	}
	return slot;
}

struct page *shmem_get_page(struct shmem *s, unsigned long index)
{
	struct page *page = NULL;
	void **slot;

	BUG_ON(index >= s->pages);
	spin_lock(&s->lock);
	slot = find_slot(s, index);
	if (slot) {
		if (!*slot)
			*slot = alloc_page_zeroed(PAGE_USER);
		page = *slot;
		if (page)
			get_page(page);
	}
	spin_unlock(&s->lock);
	return page;
}

enum nodes {
	KEEP_NODES,
	FREE_NODES,
};

/* @fn for each page below @node, which stands @level above the pages. */
static void walk_tree(void **node, int level, void (*fn)(struct page *page), enum nodes nodes)
{
	for (unsigned i = 0; i < 1 << FANOUT_SHIFT; i++) {
		if (!node[i])
			continue;
		if (level)
			walk_tree(node[i], level - 1, fn, nodes);
		else
			fn(node[i]);
	}
	if (nodes == FREE_NODES)
		free_page(virt_to_page(node));
}

void shmem_put(struct shmem *s)
{
	if (!atomic_dec_and_test(&s->refs))
		return;
	spin_lock(&objects_lock);
	list_del(&s->node);
	spin_unlock(&objects_lock);
	if (s->root)
		walk_tree(s->root, LEVELS - 1, put_page, FREE_NODES);
	kmem_cache_free(&shmem_cache, s);
}

void shmem_for_each_page(void (*fn)(struct page *page))
{
	struct shmem *s;

	spin_lock(&objects_lock);
	list_for_each_entry(s, &objects, node)
		if (s->root)
			walk_tree(s->root, LEVELS - 1, fn, KEEP_NODES);
	spin_unlock(&objects_lock);
}

static void walk_nodes(void **node, int level, void (*fn)(struct page *page))
{
	fn(virt_to_page(node));
	for (unsigned i = 0; level && i < 1 << FANOUT_SHIFT; i++)
		if (node[i])
			walk_nodes(node[i], level - 1, fn);
}

void shmem_for_each_node(void (*fn)(struct page *page))
{
	struct shmem *s;

	spin_lock(&objects_lock);
	list_for_each_entry(s, &objects, node)
		if (s->root)
			walk_nodes(s->root, LEVELS - 1, fn);
	spin_unlock(&objects_lock);
}

void shmem_audit_begin(void)
{
	struct shmem *s;

	spin_lock(&objects_lock);
	list_for_each_entry(s, &objects, node)
		s->audit_refs = 0;
	spin_unlock(&objects_lock);
}

/*
 * Of @held, which may be gone, only the address counts. Under the list of those that may hold it.
 */
bool shmem_audit_holder(const struct shmem *held)
{
	bool exists = false;
	struct shmem *s;

	spin_lock_nested(&objects_lock, 1);
	list_for_each_entry(s, &objects, node) {
		if (s == held) {
			s->audit_refs++;
			exists = true;
		}
	}
	spin_unlock(&objects_lock);
	return exists;
}

void shmem_audit_end(void (*fn)(unsigned refs, unsigned found, void *arg), void *arg)
{
	struct shmem *s;

	spin_lock(&objects_lock);
	list_for_each_entry(s, &objects, node)
		fn(atomic_read(&s->refs), s->audit_refs, arg);
	spin_unlock(&objects_lock);
}
