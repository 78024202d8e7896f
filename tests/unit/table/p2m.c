/*
 * Suite `p2m`: guest-physical and machine frames, and the rights of the direct map.
 *
 * Oracle: the two maps are each other's inverse for every frame of memory; no machine frame occurs
 * twice; and where a hypervisor owns the page tables, the direct map gives write access to a frame
 * exactly if it is no page table of its. Everything else is frozen meanwhile. Of a table that the
 * software hypervisor refuses nothing is left in its books.
 */
#include "kernel/lib/layout.h"
#include "kernel/sched/freezer.h"
#include "kernel/lib/string.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "pv/soft/soft.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL

extern char __text_start[], __rodata_end[];

static bool is_ram(u64 p)
{
	return pfn_to_page(pfn(p))->kind != PAGE_RESERVED;
}

static void maps_are_inverse(struct ktest *t)
{
	u64 frames = 0;

	for (u64 p = 0; p < max_pfn; p++) {
		if (!is_ram(p))
			continue;
		frames++;
		if (mfn_to_pfn(pfn_to_mfn(pfn(p))).v != p)
			KEXPECT_EQ(t, mfn_to_pfn(pfn_to_mfn(pfn(p))).v, p);
	}
	KEXPECT(t, frames > 1000);
}

/* Each frame marks the page whose pfn m2p gives for it; a second mark is a duplicate. */
static void machine_frames_are_distinct(struct ktest *t)
{
	for (u64 p = 0; p < max_pfn; p++)
		pfn_to_page(pfn(p))->audit_mappings = 0;
	for (u64 p = 0; p < max_pfn; p++)
		if (is_ram(p))
			KEXPECT_EQ(t, pfn_to_page(mfn_to_pfn(pfn_to_mfn(pfn(p))))->audit_mappings++,
				   0);
}

/* The entry of the direct map for frame @p; {0} where a large page maps it. */
static pte_t direct_entry(u64 p)
{
	unsigned long va = (unsigned long)__va(p << PAGE_SHIFT);
	pmd_t *pmd = pmd_find(&init_mm, va);

	return pmd && !pmd_none(*pmd) && !pmd_large(*pmd) ? ptep_get(pte_offset(*pmd, va))
							  : (pte_t){0};
}

static bool is_backends_table(const struct page *page)
{
	switch (page->kind) {
	case PAGE_TABLE:
		return !(page->pg_flags & PG_PLAIN_TABLE);
	case PAGE_KERNEL_TABLE:
	case PAGE_TABLE_RESERVE:
		return true;
	default:
		return false;
	}
}

static void tables_alone_are_read_only(struct ktest *t)
{
	u64 tables = 0, others = 0;
	struct mm *mm;

	if (!pte_present(direct_entry(max_pfn - 1)) ||
	    pte_frame_bits(direct_entry(max_pfn - 1)) == (max_pfn - 1) << PAGE_SHIFT) {
		ktest_skip(t, "no hypervisor owns the page tables");
		return;
	}
	mm = test_mm_enter();
	test_pte_page(mm, ADDR);
	freezer_freeze();
	for (u64 p = 0; p < max_pfn; p++) {
		bool table = is_backends_table(pfn_to_page(pfn(p)));

		if (!is_ram(p))
			continue;
		KEXPECT_EQ(t, pte_pfn(direct_entry(p)).v, p);
		KEXPECT_EQ(t, pte_write(direct_entry(p)), !table);
		tables += table;
		others += !table;
	}
	freezer_thaw();
	test_free_tables(mm, ADDR, ADDR + PAGE_SIZE);
	test_mm_leave(mm);
	/* Those of mm: L4 twice, L3, L2, L1. */
	KEXPECT(t, tables >= 5 && others > 1000);
}

static const char *try_table(u64 frame, unsigned level)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	const char *why = soft_make_table(frame, level, false);

	spin_unlock_irqrestore(&soft_lock, flags);
	return why;
}

static const char *try_no_table(u64 frame)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	const char *why = soft_unmake_table(frame);

	spin_unlock_irqrestore(&soft_lock, flags);
	return why;
}

/* The books are right, and the direct map may write @frame as it could before. */
static void expect_plain(struct ktest *t, u64 frame)
{
	KEXPECT_EQ(t, pv_audit(), 0);
	KEXPECT(t, pte_write(direct_entry(frame)));
}

/* With entries that may be in a table, then with @bad behind them; last, with all of them empty. */
static void refuse(struct ktest *t, struct page *page, unsigned level, u64 good, u64 bad)
{
	u64 *e = page_to_virt(page), frame = page_to_pfn(page).v;

	e[0] = good;
	e[PTRS_PER_TABLE / 2 - 1] = bad;
	KEXPECT(t, try_table(frame, level) != NULL);
	expect_plain(t, frame);
	e[0] = e[PTRS_PER_TABLE / 2 - 1] = 0;
	if (level == 4)
		return; /* the kernel's half is missing, and the refusal was for that perhaps */
	KEXPECT(t, try_table(frame, level) == NULL);
	KEXPECT(t, try_table(frame, level) != NULL); /* it is one */
	KEXPECT_EQ(t, pv_audit(), 0);
	KEXPECT(t, !pte_write(direct_entry(frame)));
	KEXPECT(t, try_no_table(frame) == NULL);
	expect_plain(t, frame);
}

static void a_refused_table_is_plain_again(struct ktest *t)
{
	struct page *page, *other;

	if (!soft_max_pfn) {
		ktest_skip(t, "the software hypervisor does not run");
		return;
	}
	page = alloc_page_zeroed(PAGE_KERNEL);
	other = alloc_page_zeroed(PAGE_KERNEL);
	refuse(t, page, 1, pfn_pte(page_to_pfn(other), vm_page_prot(VM_READ | VM_WRITE)).v,
	       pfn_pte(page_to_pfn(page), vm_page_prot(VM_READ | VM_WRITE)).v);
	for (unsigned level = 2; level <= 4; level++)
		refuse(t, page, level, 0, pmd_make(page_to_pfn(other), _PAGE_TABLE).v);
	free_page(page);
	free_page(other);
}

/* The first frame that is none, too. */
static void no_table_lies_beyond_memory(struct ktest *t)
{
	unsigned long flags;
	const char *why;

	if (!soft_max_pfn) {
		ktest_skip(t, "the software hypervisor does not run");
		return;
	}
	for (u64 frame = soft_max_pfn; frame < soft_max_pfn + 2; frame++) {
		struct soft_change c = {.maddr = frame << PAGE_SHIFT};

		flags = spin_lock_irqsave_unfair(&soft_lock);
		why = soft_change_entry(&c);
		spin_unlock_irqrestore(&soft_lock, flags);
		KEXPECT(t, why && !strcmp(why, "its table lies beyond memory"));
	}
}

static const struct ktest_case cases[] = {
	{"maps_are_inverse", maps_are_inverse},
	{"machine_frames_are_distinct", machine_frames_are_distinct},
	{"tables_alone_are_read_only", tables_alone_are_read_only},
	{"a_refused_table_is_plain_again", a_refused_table_is_plain_again},
	{"no_table_lies_beyond_memory", no_table_lies_beyond_memory},
};
KTEST_SUITE(p2m_suite, "p2m", "machine frames, and who may write page tables", true, cases);
