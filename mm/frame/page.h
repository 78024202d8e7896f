/*
 * struct page: what the kernel knows of each page frame of RAM; and the allocator of page frames.
 */
#pragma once

#include "kernel/lib/atomic.h"
#include "kernel/sync/spinlock.h"
#include "mm/frame/owed.h"
#include "mm/types/addr.h"

/* What a frame is used for; the audits count them. */
enum page_kind {
	PAGE_RESERVED, /* not RAM, or taken at boot */
	PAGE_FREE,
	PAGE_USER,	    /* mapped, or to be mapped, by user mode */
	PAGE_TABLE,	    /* a page table of a user address space, of any level */
	PAGE_KERNEL_TABLE,  /* a page table that all address spaces share */
	PAGE_TABLE_RESERVE, /* an empty page table that waits: mm/table/table_reserve.h */
	PAGE_SLAB,
	PAGE_KSTACK,
	PAGE_KERNEL, /* anything else of the kernel's */
	NR_PAGE_KINDS
};

#define TABLE_UNLINKED (~0UL)

#define PG_DIRTY BIT(0) /* user pages: a D bit was harvested from an entry that mapped the page */
/* Page tables: no hypervisor's any more, loads and stores will do. */
#define PG_PLAIN_TABLE BIT(1)
/* PTE pages: entries with RW may map shared pages; under the page's lock. mm/range/whole_table.h */
#define PG_SHARED_BELOW BIT(2)
/* PTE pages: nobody uses it any more; it will be unlinked with what it maps. */
#define PG_DROP_WHOLE BIT(3)
/* PTE pages, in mremap: it will be taken out, and its entries move plainly. mm/range/shift.h */
#define PG_SHIFT_WHOLE BIT(4)
/*
 * PTE pages: since the last fork a write met a page that somebody shared. Under the page's lock; or
 * by fork, which has marked all VMAs.
 */
#define PG_COPIED_FROM BIT(5)
/* PTE pages: fork has made a copy of all it holds. By fork; a copy that is swung in takes it over. */
#define PG_FORKED BIT(6)

struct page {
	/* User pages: one for each PTE that maps the page (PROT_NONE too), one for a shared
	 * object's hold.
	 */
	atomic_t refcount;
	u8 kind;  /* enum page_kind */
	u8 level; /* page tables: 1 is a PTE page */
	u16 pg_flags;
	struct page *next_free;
	union {
		struct mm *table_mm;	 /* page tables: whose; NULL: the kernel's */
		struct page *next_batch; /* free: mm/frame/frame_lists.c */
	};
	/* PTE pages: guards their entries, and the rights in the L2 entry that links them. */
	struct spinlock ptl;
	/* Audits only, while everything is frozen: mappings found by walking all tables. */
	u32 audit_mappings;
	/* Page tables of user address spaces, debug builds: the first address that it covers where
	 * it is linked, or TABLE_UNLINKED. mm/frame/owed.h */
	unsigned long covers;
	/* Page tables: a frame that the backend keeps beside; on Xen, of an L4, user mode's. */
	u64 backend;
} __aligned(64);

static_assert(sizeof(struct page) == 64, "one cache line");

extern struct page *mem_map;
extern u64 max_pfn; /* one past the last frame of RAM */

static inline struct page *pfn_to_page(pfn_t p)
{
	return &mem_map[p.v];
}

static inline pfn_t page_to_pfn(const struct page *page)
{
	return (pfn_t){page - mem_map};
}

static inline void *page_to_virt(const struct page *page)
{
	return pfn_to_virt(page_to_pfn(page));
}

static inline struct page *virt_to_page(const void *va)
{
	return pfn_to_page(virt_to_pfn(va));
}

/* Build mem_map and take over from the boot-time allocator. */
void page_alloc_init(void);

/*
 * One frame with reference count 1, its contents undefined; NULL when memory is exhausted, but for
 * what other CPUs have in their caches and quarantines, or on the way between their lists.
 * Task context. LOCK_PAGE_ALLOC may be taken.
 */
struct page *alloc_page(enum page_kind kind);
/* The same, cleared. */
struct page *alloc_page_zeroed(enum page_kind kind);
/* A frame in use is from now on used for @kind. */
void page_set_kind(struct page *page, enum page_kind kind);
/* Give a frame back. Debug builds poison it and keep it for a while before it is used again. */
void free_page(struct page *page);

/* All that this CPU keeps back, for any CPU to use. Task context. */
void page_cache_give_back(void);

static inline void get_page(struct page *page)
{
	atomic_inc(&page->refcount);
}

/* Drop a reference to a user page; the last one frees it. */
static inline void put_page(struct page *page)
{
	owed_assert_nothing("a page is put");
	if (atomic_dec_and_test(&page->refcount))
		free_page(page);
}

/* An entry that mapped @page had its D bit set. */
static inline void page_set_dirty(struct page *page)
{
	if (!(READ_ONCE(page->pg_flags) & PG_DIRTY))
		__atomic_or_fetch(&page->pg_flags, PG_DIRTY, __ATOMIC_RELAXED);
}

/* Frames in use for @kind, and free ones; exact only while nothing allocates. */
s64 page_kind_count(enum page_kind kind);
/* Audits: call @fn for each free frame, wherever it waits. */
void page_for_each_free(void (*fn)(struct page *page));
/*
 * Tests: let the @n-th allocation from now on, of a frame or an object, fail, and all after it until
 * it is set to 0 again.
 */
void alloc_page_fail_after(u64 n);
/* For what can be had without a new frame and shall fail in tests all the same: fail this one? */
bool alloc_failure_injected(void);

/* The first word of a page that a stress worker writes; pages without it are not checked. */
#define PAGE_STAMP_MAGIC 0x7074726e50414745UL
