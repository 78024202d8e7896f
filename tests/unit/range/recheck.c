/*
 * Suite `recheck`: faults that find another entry than they have seen, once they have its lock.
 *
 * The case holds the lock of the PTE page while a fault that has made its preparations waits for
 * it, and changes the entry. Oracle: what the case did stands, the access succeeds, and the page
 * that the fault had prepared is given back.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/uaccess.h"
#include "mm/lazy/tlb.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/late.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define RW (PROT_READ | PROT_WRITE)

static struct mm *mm;

static void write_late(void)
{
	mm_use(mm);
	BUG_ON(put_user32(ADDR, 2));
	mm_use(NULL);
}

static void enter(struct ktest *t, unsigned long flags)
{
	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(ADDR, PAGE_SIZE, RW, flags | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   ADDR);
	BUG_ON(!pmd_alloc(mm, ADDR));
}

/* While the late task's fault waits for the lock, its entry becomes @pte. */
static void change_before_the_fault(pte_t pte)
{
	pmd_t *pmd = pmd_find(mm, ADDR);
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd, ADDR, &ptl);

	late_go();
	late_await(ptl);
	set_pte_at(mm, ADDR, ptep, pte);
	flush_tlb_page(mm, ADDR);
	pte_unmap_unlock(ptep, ptl);
	late_end();
}

static pte_t entry(void)
{
	return ptep_get(pte_offset(*pmd_find(mm, ADDR), ADDR));
}

static void leave(struct ktest *t, s64 pages)
{
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), pages);
}

static struct page *zeros(void)
{
	struct page *page = alloc_page_zeroed(PAGE_USER);

	BUG_ON(!page);
	return page;
}

/* Another thread has mapped a page with @rights: that one is written, after @spurious faults. */
static void write_to_the_first(struct ktest *t, unsigned long rights, unsigned spurious)
{
	s64 pages = page_kind_count(PAGE_USER);
	u64 before = counter_sum(CNT_SPURIOUS_FAULTS);
	struct page *first;

	if (!late_begin(t, write_late))
		return;
	enter(t, MAP_PRIVATE);
	first = zeros();
	change_before_the_fault(mk_pte(first, vm_page_prot(rights)));
	KEXPECT(t, pte_page(entry()) == first && pte_write(entry()));
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), pages + 1);
	KEXPECT_EQ(t, counter_sum(CNT_SPURIOUS_FAULTS), before + spurious);
	leave(t, pages);
}

static void anonymous_memory(struct ktest *t)
{
	write_to_the_first(t, VM_READ | VM_WRITE, 1);
}

/* What is mapped does not permit the access: it faults again, and gets its right. */
static void anonymous_memory_to_read(struct ktest *t)
{
	write_to_the_first(t, VM_READ, 0);
}

/* Both have a reference of their own; the fault drops the one that it does not need. */
static void shared_memory(struct ktest *t)
{
	s64 pages = page_kind_count(PAGE_USER);
	struct page *page;

	if (!late_begin(t, write_late))
		return;
	enter(t, MAP_SHARED);
	page = shmem_get_page(vma_find(&mm->vmas, ADDR)->shmem, 0);
	BUG_ON(!page);
	change_before_the_fault(mk_pte(page, vm_page_prot(VM_READ | VM_WRITE)));
	KEXPECT_EQ(t, atomic_read(&page->refcount), 2); /* the object's, and the entry's */
	leave(t, pages);
}

/* Another thread has made a copy already: that one is written, not a third. */
static void copy_on_write(struct ktest *t)
{
	s64 pages = page_kind_count(PAGE_USER);
	struct page *old, *copy;
	struct mm *child;

	if (!late_begin(t, write_late))
		return;
	enter(t, MAP_PRIVATE);
	KEXPECT_EQ(t, put_user32(ADDR, 1), 0);
	old = pte_page(entry());
	child = mm_fork(mm);
	BUG_ON(!child);
	copy = zeros();
	change_before_the_fault(mk_pte(copy, vm_page_prot(VM_READ | VM_WRITE)));
	put_page(old);
	KEXPECT(t, pte_page(entry()) == copy);
	KEXPECT_EQ(t, *(u32 *)page_to_virt(copy), 2);
	KEXPECT_EQ(t, *(u32 *)page_to_virt(old), 1);
	mm_put(child);
	leave(t, pages);
}

static const struct ktest_case cases[] = {
	{"anonymous_memory", anonymous_memory},
	{"anonymous_memory_to_read", anonymous_memory_to_read},
	{"shared_memory", shared_memory},
	{"copy_on_write", copy_on_write},
};
KTEST_SUITE(recheck_suite, "recheck", "faults that find another entry than they have seen", true,
	    cases);
