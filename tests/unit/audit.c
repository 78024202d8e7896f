/*
 * Suite `audit`: can the audit of mm/audit.c find anything?
 *
 * Oracle: with nothing wrong it finds nothing; with one violation planted (and taken back) it finds
 * at least one, for each kind that it claims to find. What it prints about them is part of this
 * output.
 */
#include "mm/audit.h"

#include "kernel/printk.h"
#include "mm/mmap.h"
#include "mm/tlb.h"
#include "mm/vma.h"
#include "tests/ktest.h"
#include "tests/unit/test_mm.h"

#define LEN (4 * PAGE_SIZE)

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

static void expect_found(struct ktest *t)
{
	printk("    # one violation is planted now:\n");
	KEXPECT(t, audit_all() > 0);
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
	expect_found(t);
	put_page(pte_page(*entry));
	teardown(t);
}

static void finds_entry_without_vma(struct ktest *t)
{
	setup(t);
	pv_set_pte(entry - 1, pte_mkspecial(*entry));
	expect_found(t);
	pv_set_pte(entry - 1, (pte_t){0});
	teardown(t);
}

static void finds_rights(struct ktest *t)
{
	struct vma *v;

	setup(t);
	v = vma_find(&mm->vmas, area);
	v->flags &= ~VM_WRITE;
	expect_found(t);
	v->flags |= VM_WRITE;
	teardown(t);
}

static void finds_wrong_frame(struct ktest *t)
{
	pte_t old;

	setup(t);
	old = *entry;
	pv_set_pte(entry, pfn_pte(pfn(0), vm_page_prot(VM_READ)));
	expect_found(t);
	pv_set_pte(entry, old);
	teardown(t);
}

static void finds_lock(struct ktest *t) __no_thread_safety
{
	struct spinlock *ptl;

	setup(t);
	pte_offset_map_lock(pmd_find(mm, area), area, &ptl);
	expect_found(t);
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
	expect_found(t);
	plant_link(pmd, old.v);
	teardown(t);
}

static void finds_open_table_of_shared_pages(struct ktest *t)
{
	struct page *table;

	setup(t);
	table = pfn_to_page(pmd_pfn(*pmd_find(mm, area)));
	table->pg_flags |= PG_SHARED_BELOW;
	expect_found(t);
	table->pg_flags &= ~PG_SHARED_BELOW;
	teardown(t);
}

static const struct ktest_case cases[] = {
	{"finds_nothing", finds_nothing},
	{"finds_references", finds_references},
	{"finds_entry_without_vma", finds_entry_without_vma},
	{"finds_rights", finds_rights},
	{"finds_wrong_frame", finds_wrong_frame},
	{"finds_lock", finds_lock},
	{"finds_narrow_table", finds_narrow_table},
	{"finds_open_table_of_shared_pages", finds_open_table_of_shared_pages},
};
KTEST_SUITE(audit_suite, "audit", "the audit of page tables finds what is planted", true, cases);
