/*
 * The page-frame allocator: single frames, and for each CPU a cache of them and a list behind it
 * (frame_lists.h).
 *
 * Debug builds fill a freed frame with poison and put it in the CPU's quarantine, from where it
 * goes back to use only after QUARANTINE others were freed; a poison that has changed by then was
 * written through a stale translation. They also check the dirty ledger: a user page that was
 * written must have been reported dirty by the entry that mapped it.
 *
 * No locks: the caches are their CPU's, with preemption off; interrupts neither allocate nor free.
 */
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "mm/frame/early.h"
#include "mm/frame/frame_lists.h"
#include "mm/frame/page.h"

#define CACHE_MAX 64
#define QUARANTINE 128
#define POISON 0x6b6b6b6b6b6b6b6bUL

struct page_cache {
	unsigned nr;
	struct page *page[CACHE_MAX];
	unsigned oldest, nr_quarantined;
	struct page *quarantine[QUARANTINE];
	s64 kinds[NR_PAGE_KINDS]; /* taken less given back, by this CPU */
};
static DEFINE_PER_CPU(struct page_cache, page_cache);

struct page *mem_map;
u64 max_pfn;
static u64 fail_countdown; /* 0: no failures are injected */

/* The last @n frames of the cache, linked. */
static struct page *cut_batch(struct page_cache *c, unsigned n)
{
	struct page **end = &c->page[c->nr], **first = end - n, *batch = NULL;

	c->nr -= n;
	while (end != first) {
		struct page *page = *--end;

		page->next_free = batch;
		batch = page;
	}
	return batch;
}

/* Down to @kept, to the lists. */
static void spill(struct page_cache *c, unsigned kept)
{
	while (c->nr > kept)
		frame_batch_put(cut_batch(c, min(c->nr - kept, (unsigned)FRAME_BATCH)));
}

/* Apart, so that the common way keeps no register for it. */
static __noinline void spill_and_add(struct page_cache *c, struct page *page)
{
	spill(c, CACHE_MAX - FRAME_BATCH);
	c->page[c->nr++] = page;
}

static __always_inline void add_to_cache(struct page_cache *c, struct page *page)
{
	if (unlikely(c->nr == CACHE_MAX))
		spill_and_add(c, page);
	else
		c->page[c->nr++] = page;
}

static void add_free_range(paddr_t start, paddr_t end)
{
	struct page_cache *c = this_cpu_ptr(page_cache);

	for (paddr_t pa = start; pa < end; pa += PAGE_SIZE) {
		struct page *page = pfn_to_page(paddr_to_pfn(pa));

		page->kind = PAGE_FREE;
		add_to_cache(c, page);
		c->kinds[PAGE_FREE]++;
	}
}

void page_alloc_init(void)
{
	max_pfn = early_max_pfn();
	mem_map = early_alloc(max_pfn * sizeof(struct page), PAGE_SIZE);
	early_for_each_free(add_free_range);
}

#ifdef CONFIG_DEBUG

static void check_dirty_ledger(const struct page *page)
{
	const u64 *p = page_to_virt(page);

	if (page->kind == PAGE_USER && p[0] == PAGE_STAMP_MAGIC && !(page->pg_flags & PG_DIRTY))
		panic("dirty ledger: page %#lx was written (stamp for address %#lx) and no D bit "
		      "was "
		      "reported",
		      page_to_pfn(page).v, p[1]);
}

static void poison(struct page *page)
{
	u64 *p = page_to_virt(page);
	size_t n = PAGE_SIZE / 8;

	check_dirty_ledger(page);
	__asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(POISON) : "memory");
}

static void check_poison(const struct page *page)
{
	const u64 *p = page_to_virt(page);

	for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
		if (p[i] != POISON)
			panic("free page %#lx was written at offset %#x: %#lx", page_to_pfn(page).v,
			      i * 8, p[i]);
}

/* Put @page, if any, into quarantine; the page that leaves it, or NULL while there is room. */
static struct page *quarantine(struct page_cache *c, struct page *page)
{
	struct page *out = NULL;

	if (c->nr_quarantined == QUARANTINE || !page) {
		if (!c->nr_quarantined)
			return NULL;
		out = c->quarantine[c->oldest];
		c->oldest = (c->oldest + 1) % QUARANTINE;
		c->nr_quarantined--;
		check_poison(out);
	}
	if (page)
		c->quarantine[(c->oldest + c->nr_quarantined++) % QUARANTINE] = page;
	return out;
}

#else

static void poison(struct page *page __unused) {}

static struct page *quarantine(struct page_cache *c __unused, struct page *page)
{
	return page;
}

#endif

static void refill(struct page_cache *c)
{
	struct page *page = frame_batch_take();
	unsigned n = 0;

	if (!page) {
		page = quarantine(c, NULL);
		if (page)
			page->next_free = NULL;
	}
	for (; page; page = page->next_free)
		c->page[n++] = page;
	c->nr = n;
}

void page_cache_give_back(void)
{
	struct page_cache *c;
	struct page *page;

	preempt_disable();
	c = this_cpu_ptr(page_cache);
	while ((page = quarantine(c, NULL)))
		add_to_cache(c, page);
	spill(c, 0);
	preempt_enable();
}

void alloc_page_fail_after(u64 n)
{
	WRITE_ONCE(fail_countdown, n);
}

/* Counts down to 1 and stays there. */
bool alloc_failure_injected(void)
{
	u64 n = READ_ONCE(fail_countdown);

	if (likely(!n))
		return false;
	while (n > 1)
		if (try_cmpxchg(&fail_countdown, &n, n - 1))
			return false;
	return n == 1;
}

static __always_inline struct page *take_cached(struct page_cache *c, enum page_kind kind)
{
	struct page *page = c->page[--c->nr];

	ASSERT(page->kind == PAGE_FREE);
	ASSERT(!page->pg_flags);
	page->kind = kind;
	atomic_set(&page->refcount, 1);
	c->kinds[PAGE_FREE]--;
	c->kinds[kind]++;
	count(CNT_PAGES_ALLOCATED);
	return page;
}

/* Apart, for the same reason. NULL: no memory. */
static __noinline struct page *refill_and_take(struct page_cache *c, enum page_kind kind)
{
	refill(c);
	return c->nr ? take_cached(c, kind) : NULL;
}

static __always_inline struct page *take_page(enum page_kind kind)
{
	struct page_cache *c;
	struct page *page;

	if (unlikely(alloc_failure_injected()))
		return NULL;
	preempt_disable();
	c = this_cpu_ptr(page_cache);
	page = likely(c->nr) ? take_cached(c, kind) : refill_and_take(c, kind);
	preempt_enable();
	return page;
}

struct page *alloc_page(enum page_kind kind)
{
	return take_page(kind);
}

struct page *alloc_page_zeroed(enum page_kind kind)
{
	struct page *page = take_page(kind);

	if (page)
		clear_page(page_to_virt(page));
	return page;
}

void free_page(struct page *page)
{
	struct page_cache *c;

	BUG_ON(page->kind == PAGE_FREE || page->kind == PAGE_RESERVED);
	BUG_ON(page->kind == PAGE_USER && atomic_read(&page->refcount) != 0);
	poison(page);
	preempt_disable();
	c = this_cpu_ptr(page_cache);
	c->kinds[page->kind]--;
	c->kinds[PAGE_FREE]++;
	page->kind = PAGE_FREE;
	page->pg_flags = 0;
	page = quarantine(c, page);
	if (page)
		add_to_cache(c, page);
	preempt_enable();
}

void page_set_kind(struct page *page, enum page_kind kind)
{
	struct page_cache *c;

	BUG_ON(page->kind == PAGE_FREE || kind == PAGE_FREE);
	preempt_disable();
	c = this_cpu_ptr(page_cache);
	c->kinds[page->kind]--;
	c->kinds[kind]++;
	page->kind = kind;
	preempt_enable();
}

void page_for_each_free(void (*fn)(struct page *page))
{
	frame_lists_for_each(fn);
	for_each_online_cpu(cpu) {
		const struct page_cache *c = per_cpu_ptr(page_cache, cpu);

		for (unsigned i = 0; i < c->nr; i++)
			fn(c->page[i]);
		for (unsigned i = 0; i < c->nr_quarantined; i++)
			fn(c->quarantine[(c->oldest + i) % QUARANTINE]);
	}
}

s64 page_kind_count(enum page_kind kind)
{
	s64 sum = 0;

	for_each_online_cpu(cpu)
		sum += per_cpu(page_cache, cpu).kinds[kind];
	return sum;
}
