/*
 * Suite `p2m`: guest-physical and machine frames, and the rights of the direct map.
 *
 * Oracle: the two maps are each other's inverse for every frame of memory; no machine frame occurs
 * twice; and where a hypervisor owns the page tables, the direct map gives write access to a frame
 * exactly if it is no page table of its. Everything else is frozen meanwhile.
 */
#include "kernel/freezer.h"
#include "kernel/layout.h"
#include "mm/pgtable.h"
#include "mm/tables.h"
#include "tests/ktest.h"
#include "tests/unit/test_mm.h"

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

static const struct ktest_case cases[] = {
	{"maps_are_inverse", maps_are_inverse},
	{"machine_frames_are_distinct", machine_frames_are_distinct},
	{"tables_alone_are_read_only", tables_alone_are_read_only},
};
KTEST_SUITE(p2m_suite, "p2m", "machine frames, and who may write page tables", true, cases);
