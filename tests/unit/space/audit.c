/*
 * Suite `audit`: can the audit of mm/space/audit.c find anything?
 *
 * Oracle: with nothing wrong it finds nothing; with one violation planted (and taken back) it finds
 * it, by the check that is meant to, for each kind that it claims to find. What it prints about
 * them is part of this output.
 *
 * Not analysed: a lock that is held on purpose, and given back past pte_unmap_unlock().
 */
#include "mm/space/audit.h"

#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "mm/lazy/tlb.h"
#include "mm/range/family.h"
#include "mm/range/zeromap.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define LEN (4 * PAGE_SIZE)
#define MANY 40 /* violations, of which 16 are printed */

static struct mm *mm;
static long area;
static pte_t *entry; /* of the area's first page, which is present */

static void setup(struct ktest *t)
{
	mm = test_mm_enter();
	area = do_mmap(0, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		       NULL, 0);
	KEXPECT(t, area > 0);
	entry = pte_offset(*pmd_find(mm, area), area);
	KEXPECT_EQ(t, audit_all(), 0);
}

static void teardown(struct ktest *t)
{
	flush_tlb_mm(mm); /* what was planted and taken back */
	KEXPECT_EQ(t, audit_all(), 0);
	do_munmap(area, LEN);
	test_mm_leave(mm);
}

static bool says(const char *what)
{
	for (const char *s = audit_first; *s; s++)
		if (!strncmp(s, what, strlen(what)))
			return true;
	return false;
}

/* It is found, and by the check that is meant to. */
static void expect_found(struct ktest *t, const char *what)
{
	printk("    # one violation is planted now:\n");
	KEXPECT(t, audit_all() > 0);
	KEXPECT(t, says(what));
}

static void finds_nothing(struct ktest *t)
{
	setup(t);
	teardown(t);
}

static void finds_references(struct ktest *t)
{
	setup(t);
	get_page(pte_page(*entry));
	expect_found(t, "is writable with 2 references");
	put_page(pte_page(*entry));
	teardown(t);
}

static void finds_a_member_too_many(struct ktest *t)
{
	struct mm_family family = {.members = {2}};

	setup(t);
	mm->family = &family;
	expect_found(t, "a family counts 2 members, and 1 were found");
	mm->family = NULL;
	teardown(t);
}

static void finds_entry_without_vma(struct ktest *t)
{
	setup(t);
	pv_set_pte(entry - 1, pte_mkspecial(*entry));
	expect_found(t, "lies in no VMA");
	pv_set_pte(entry - 1, (pte_t){0});
	teardown(t);
}

static void finds_rights(struct ktest *t)
{
	struct vma *v;

	setup(t);
	v = vma_find(&mm->vmas, area);
	v->flags &= ~VM_WRITE;
	expect_found(t, "has rights that its VMA");
	v->flags |= VM_WRITE;
	teardown(t);
}

static void finds_wrong_frame(struct ktest *t)
{
	pte_t old;

	setup(t);
	old = *entry;
	pv_set_pte(entry, pfn_pte(pfn(0), vm_page_prot(VM_READ)));
	expect_found(t, "which is no user page");
	pv_set_pte(entry, old);
	teardown(t);
}

static void finds_lock(struct ktest *t) __no_thread_safety
{
	struct spinlock *ptl;

	setup(t);
	pte_offset_map_lock(pmd_find(mm, area), area, &ptl);
	expect_found(t, "is locked");
	spin_unlock_preemptible(ptl);
	teardown(t);
}

/* The rights of the link, under the lock that guards them. */
static void plant_link(pmd_t *pmd, u64 val)
{
	struct spinlock *ptl;
	pte_t *table = pte_offset_map_lock(pmd, area, &ptl);

	pv_set_tables(&(struct table_change){pmd, val}, 1);
	flush_tlb_mm(mm);
	pte_unmap_unlock(table, ptl);
}

static void finds_narrow_table(struct ktest *t)
{
	pmd_t *pmd, old;

	setup(t);
	pmd = pmd_find(mm, area);
	old = *pmd;
	plant_link(pmd, old.v | _PAGE_NX);
	expect_found(t, "narrows rights");
	plant_link(pmd, old.v);
	teardown(t);
}

static void finds_link_to_a_table_of_another_level(struct ktest *t)
{
	struct page *table;

	setup(t);
	table = pfn_to_page(pmd_pfn(*pmd_find(mm, area)));
	table->level++;
	expect_found(t, "links a page of kind");
	table->level--;
	teardown(t);
}

static void finds_open_table_of_shared_pages(struct ktest *t)
{
	struct page *table;

	setup(t);
	table = pfn_to_page(pmd_pfn(*pmd_find(mm, area)));
	table->pg_flags |= PG_SHARED_BELOW;
	expect_found(t, "links a table with flags");
	table->pg_flags &= ~PG_SHARED_BELOW;
	teardown(t);
}

/* --- rights --- */

/* The entry of the area's first page is @pte for a while. */
static void plant(struct ktest *t, u64 pte, const char *what)
{
	pte_t old = ptep_get(entry);

	pv_set_pte(entry, (pte_t){pte});
	expect_found(t, what);
	pv_set_pte(entry, old);
}

static void finds_references_of_an_only_member(struct ktest *t)
{
	struct page *page;

	setup(t);
	page = pte_page(*entry);
	atomic_inc(&page->refcount);
	plant(t, pte_wrprotect(*entry).v, "of an only member has 2 references");
	atomic_dec(&page->refcount);
	teardown(t);
}

static void finds_executable(struct ktest *t)
{
	setup(t);
	plant(t, entry->v & ~_PAGE_NX, "has rights that its VMA");
	teardown(t);
}

/* Xen lets only a domain with devices of its own choose how memory is cached: no domU. */
static void finds_caching(struct ktest *t)
{
	if (pv_owns_tables) {
		ktest_skip(t, "a hypervisor may refuse such an entry");
		return;
	}
	setup(t);
	plant(t, entry->v | _PAGE_PCD, "has rights that its VMA");
	teardown(t);
}

static void finds_page_of_another(struct ktest *t)
{
	setup(t);
	plant(t, mk_pte(zero_page, vm_page_prot(VM_READ)).v, "which is no user page");
	plant(t, pte_mkspecial(pfn_pte(page_to_pfn(pte_page(entry[1])), vm_page_prot(VM_READ))).v,
	      "is not the zero page");
	teardown(t);
}

/* A hypervisor takes what is not present if it names no frame of memory. */
static void finds_entry_that_maps_nothing(struct ktest *t)
{
	setup(t);
	plant(t, (entry->v ^ PTE_MFN_MASK) & ~_PAGE_PRESENT, "is neither none nor a mapping");
	teardown(t);
}

static void finds_another_frame_of_a_device(struct ktest *t)
{
	struct vma *v;

	setup(t);
	v = vma_find(&mm->vmas, area);
	v->flags |= VM_PFNMAP;
	plant(t, pte_mkspecial(mk_pte(zero_page, vm_page_prot(VM_READ))).v, ", not ");
	v->flags &= ~VM_PFNMAP;
	teardown(t);
}

/* --- layout --- */

static void finds_locked_mm(struct ktest *t)
{
	setup(t);
	mmap_write_lock(mm);
	expect_found(t, "an mm is locked");
	mmap_write_unlock(mm);
	teardown(t);
}

/* All are counted, and only the first ones printed. */
static void counts_more_than_it_prints(struct ktest *t)
{
	struct vma *v;
	long many;

	setup(t);
	many = do_mmap(0, MANY * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, NULL, 0);
	v = vma_find(&mm->vmas, many);
	v->flags &= ~VM_WRITE;
	KEXPECT_EQ(t, audit_all(), MANY);
	v->flags |= VM_WRITE;
	do_munmap(many, MANY * PAGE_SIZE);
	teardown(t);
}

static void swap_ends(struct vma *v)
{
	unsigned long start = v->start;

	v->start = v->end;
	v->end = start;
}

static void finds_locked_vma(struct ktest *t)
{
	struct vma *v;

	setup(t);
	v = vma_find(&mm->vmas, area);
	atomic_set(&v->readers, 1);
	expect_found(t, "the VMA at");
	atomic_set(&v->readers, 0);
	v->mark = mm->lock_seq;
	expect_found(t, "the VMA at");
	v->mark = 0;
	teardown(t);
}

static void finds_wrong_counts(struct ktest *t)
{
	setup(t);
	mm->mapped_pages++;
	expect_found(t, "and counts");
	mm->mapped_pages--;
	mm->vmas.count--;
	expect_found(t, "and counts");
	mm->vmas.count++;
	teardown(t);
}

static void finds_vma_out_of_order(struct ktest *t)
{
	struct vma *v;

	setup(t);
	v = vma_find(&mm->vmas, area);
	swap_ends(v);
	expect_found(t, "follows one that ends at");
	swap_ends(v);
	teardown(t);
}

static void finds_vmas_that_could_be_one(struct ktest *t)
{
	unsigned long flags;
	struct vma *v;

	setup(t);
	KEXPECT_EQ(t,
		   do_mmap(area - PAGE_SIZE, PAGE_SIZE, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   area - PAGE_SIZE);
	v = vma_find(&mm->vmas, area - PAGE_SIZE);
	flags = v->flags;
	v->flags = v->next->flags;
	expect_found(t, "could be one");
	v->flags = flags;
	teardown(t);
}

/* --- shared objects --- */

static void finds_wrong_holders(struct ktest *t)
{
	struct shmem *s, *other;
	struct vma *v;
	long shared;

	setup(t);
	shared = do_mmap(0, LEN, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, NULL, 0);
	KEXPECT(t, shared > 0);
	v = vma_find(&mm->vmas, shared);
	s = v->shmem;
	shmem_get(s);
	expect_found(t, "has 2 references, and 1 were found");
	shmem_put(s);
	other = shmem_create(1);
	expect_found(t, "has 1 references, and 0 were found");
	shmem_put(other);
	v->shmem = other; /* which is gone */
	expect_found(t, "a VMA holds a shared object that is gone");
	v->shmem = s;
	do_munmap(shared, LEN);
	teardown(t);
}

/* --- frames --- */

static void finds_leaks(struct ktest *t)
{
	static const struct {
		enum page_kind kind;
		const char *what;
	} leaks[] = {
		{PAGE_USER, "has 1 references, and 0 were found"},
		{PAGE_TABLE, "(table) was found 0 times"},
		{PAGE_KERNEL_TABLE, "(kernel table) was found 0 times"},
		{PAGE_TABLE_RESERVE, "(reserve of tables) was found 0 times"},
		{PAGE_KSTACK, "(kernel stack) was found 0 times"},
		{PAGE_KERNEL, "(kernel) was found 0 times"},
	};

	setup(t);
	for (unsigned i = 0; i < ARRAY_SIZE(leaks); i++) {
		struct page *page = alloc_page(leaks[i].kind);

		expect_found(t, leaks[i].what);
		page_set_kind(page, PAGE_KERNEL);
		free_page(page);
	}
	teardown(t);
}

/* Its last reference is gone, and it was not freed. */
static void finds_user_page_without_references(struct ktest *t)
{
	struct page *page;

	setup(t);
	page = alloc_page(PAGE_USER);
	atomic_set(&page->refcount, 0);
	expect_found(t, "has 0 references, and 0 were found");
	free_page(page);
	teardown(t);
}

#ifdef CONFIG_DEBUG
static void finds_table_of_another_place(struct ktest *t)
{
	struct page *table;

	setup(t);
	table = pfn_to_page(pmd_pfn(*pmd_find(mm, area)));
	table->covers += PMD_SIZE;
	expect_found(t, "links a table that covers");
	table->covers -= PMD_SIZE;
	teardown(t);
}
#else
static void finds_table_of_another_place(struct ktest *t)
{
	ktest_skip(t, "a release build does not note what a table covers");
}
#endif

static void finds_flags_of_a_former_life(struct ktest *t)
{
	struct page *page;

	setup(t);
	page = alloc_page(PAGE_KERNEL);
	free_page(page);
	page->pg_flags = PG_DIRTY;
	expect_found(t, "of its former life");
	page->pg_flags = 0;
	teardown(t);
}

static void finds_wrong_kind(struct ktest *t)
{
	struct page *page;

	setup(t);
	page = alloc_page(PAGE_KERNEL);
	page->kind = PAGE_KSTACK;
	expect_found(t, "was found 0 times");
	page->kind = PAGE_KERNEL;
	free_page(page);
	teardown(t);
}

static void finds_torn_slab(struct ktest *t)
{
	struct page *page;

	setup(t);
	page = alloc_page(PAGE_SLAB);
	clear_page(page_to_virt(page));
	expect_found(t, "it belongs to no cache");
	free_page(page);
	teardown(t);
}

static const struct ktest_case cases[] = {
	{"finds_nothing", finds_nothing},
	{"finds_references", finds_references},
	{"finds_references_of_an_only_member", finds_references_of_an_only_member},
	{"finds_a_member_too_many", finds_a_member_too_many},
	{"finds_entry_without_vma", finds_entry_without_vma},
	{"finds_rights", finds_rights},
	{"finds_wrong_frame", finds_wrong_frame},
	{"finds_lock", finds_lock},
	{"finds_narrow_table", finds_narrow_table},
	{"finds_link_to_a_table_of_another_level", finds_link_to_a_table_of_another_level},
	{"finds_open_table_of_shared_pages", finds_open_table_of_shared_pages},
	{"finds_executable", finds_executable},
	{"finds_caching", finds_caching},
	{"finds_page_of_another", finds_page_of_another},
	{"finds_entry_that_maps_nothing", finds_entry_that_maps_nothing},
	{"finds_another_frame_of_a_device", finds_another_frame_of_a_device},
	{"finds_locked_mm", finds_locked_mm},
	{"counts_more_than_it_prints", counts_more_than_it_prints},
	{"finds_locked_vma", finds_locked_vma},
	{"finds_wrong_counts", finds_wrong_counts},
	{"finds_vma_out_of_order", finds_vma_out_of_order},
	{"finds_vmas_that_could_be_one", finds_vmas_that_could_be_one},
	{"finds_wrong_holders", finds_wrong_holders},
	{"finds_leaks", finds_leaks},
	{"finds_user_page_without_references", finds_user_page_without_references},
	{"finds_table_of_another_place", finds_table_of_another_place},
	{"finds_flags_of_a_former_life", finds_flags_of_a_former_life},
	{"finds_wrong_kind", finds_wrong_kind},
	{"finds_torn_slab", finds_torn_slab},
};
KTEST_SUITE(audit_suite, "audit", "the audit of page tables finds what is planted", true, cases);
