/*
 * Suite `pgtable`: the helpers on page-table entries and ranges.
 *
 * Oracle: each helper changes the bits that its name says and no other; a frame survives every
 * change of rights, PROT_NONE and back included; the ends of the parts of a range tile it.
 */
#include "mm/range/mprotect.h"
#include "mm/table/pgtable.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

static const unsigned long all_flags[] = {
	0, VM_READ, VM_READ | VM_WRITE, VM_READ | VM_EXEC, VM_READ | VM_WRITE | VM_EXEC,
};

/* One that exists: on Xen a machine frame stands behind it. */
static pfn_t a_frame(void)
{
	return pfn(max_pfn / 2 + 1);
}

static void single_bits(struct ktest *t)
{
	pte_t pte = pfn_pte(a_frame(), vm_page_prot(VM_READ | VM_WRITE));

	KEXPECT(t, pte_present(pte) && pte_write(pte) && pte_user(pte) && !pte_exec(pte));
	KEXPECT(t, !pte_dirty(pte) && !pte_special(pte) && !pte_none(pte));
	KEXPECT_EQ(t, pte_wrprotect(pte).v ^ pte.v, _PAGE_RW);
	KEXPECT_EQ(t, pte_mkwrite(pte_wrprotect(pte)).v, pte.v);
	KEXPECT_EQ(t, pte_mkdirty(pte).v ^ pte.v, _PAGE_DIRTY);
	KEXPECT_EQ(t, pte_mkclean(pte_mkdirty(pte)).v, pte.v);
	KEXPECT_EQ(t, pte_mkspecial(pte).v ^ pte.v, _PAGE_SPECIAL);
	KEXPECT_EQ(t, pte_pfn(pte).v, a_frame().v);
}

static void none_ignores_harvested_bits(struct ktest *t)
{
	KEXPECT(t, pte_none((pte_t){0}));
	KEXPECT(t, pte_none((pte_t){_PAGE_AD}));
	KEXPECT(t, !pte_none((pte_t){_PAGE_PRESENT}));
	KEXPECT(t, !pte_none((pte_t){0x1000}));
}

static void rights_change_and_frames_stay(struct ktest *t)
{
	for (unsigned a = 0; a < ARRAY_SIZE(all_flags); a++) {
		for (unsigned b = 0; b < ARRAY_SIZE(all_flags); b++) {
			pte_t pte = pte_mkdirty(pfn_pte(a_frame(), vm_page_prot(all_flags[a])));
			pte_t changed = pte_modify(pte, vm_page_prot(all_flags[b]));

			KEXPECT_EQ(t, pte_pfn(changed).v, a_frame().v);
			KEXPECT(t, pte_dirty(changed) && pte_has_frame(changed));
			KEXPECT_EQ(t, pte_present(changed), all_flags[b] != 0);
			KEXPECT_EQ(t, pte_write(changed), !!(all_flags[b] & VM_WRITE));
			KEXPECT_EQ(t, pte_present(changed) && pte_exec(changed),
				   !!(all_flags[b] & VM_EXEC));
			KEXPECT_EQ(t, pte_modify(changed, vm_page_prot(all_flags[a])).v, pte.v);
		}
	}
}

/* A non-present entry must not name a frame of memory: L1TF, and Xen's check. */
static void protnone_frames_are_out_of_reach(struct ktest *t)
{
	for (u64 frame = 1; frame < max_pfn; frame = frame * 2 + 1) {
		pte_t pte = pfn_pte(pfn(frame), vm_page_prot(0));

		KEXPECT(t, !pte_present(pte) && pte_protnone(pte));
		KEXPECT(t, (pte.v & PTE_MFN_MASK) >> PAGE_SHIFT >= max_pfn);
		KEXPECT(t, (pte.v & PTE_MFN_MASK) >> PAGE_SHIFT != pfn_to_mfn(pfn(frame)).v);
		KEXPECT_EQ(t, pte_pfn(pte).v, frame);
	}
}

static void rights_are_the_and_of_all_levels(struct ktest *t)
{
	pte_t pte = pfn_pte(pfn(1), vm_page_prot(VM_READ | VM_WRITE | VM_EXEC));
	pmd_t full = {_PAGE_TABLE}, read_only = {_PAGE_TABLE & ~_PAGE_RW};
	pmd_t no_exec = {_PAGE_TABLE | _PAGE_NX}, kernel = {_KERNPG_TABLE};

	KEXPECT_EQ(t, pte_narrow(pte, full).v, pte.v);
	KEXPECT(t, !pte_write(pte_narrow(pte, read_only)) && pte_write(pte));
	KEXPECT(t, !pte_exec(pte_narrow(pte, no_exec)));
	KEXPECT(t, !pte_user(pte_narrow(pte, kernel)));
}

static void parts_tile_a_range(struct ktest *t)
{
	for (unsigned n = 0; n < 1000; n++) {
		unsigned long addr = rng_below(&t->rng, 1UL << 46) & PAGE_MASK;
		unsigned long end = addr + PAGE_SIZE * (1 + rng_below(&t->rng, 3000));
		unsigned long next;

		for (; addr != end; addr = next) {
			next = pmd_addr_end(addr, end);
			KEXPECT(t, next > addr && next <= end);
			KEXPECT(t, next == end || !(next & (PMD_SIZE - 1)));
			KEXPECT_EQ(t, addr >> PMD_SHIFT, (next - 1) >> PMD_SHIFT);
		}
	}
	/* The last entry of the address space: the sum of address and size wraps. */
	KEXPECT_EQ(t, pgd_addr_end(~0UL & PAGE_MASK, 0), 0);
}

static void tables_are_found_again(struct ktest *t)
{
	static const unsigned long addr[] = {0x1000, 0x3fffff000, 0x7f0012345000, 0x7fffffffe000};
	struct mm *mm = test_mm_enter();

	for (unsigned i = 0; i < ARRAY_SIZE(addr); i++) {
		pmd_t *pmd;

		KEXPECT(t, !pmd_find(mm, addr[i]) || pmd_none(*pmd_find(mm, addr[i])));
		pmd = test_pte_page(mm, addr[i]);
		KEXPECT(t, pmd_find(mm, addr[i]) == pmd && pmd_alloc(mm, addr[i]) == pmd);
		KEXPECT_EQ(t, pfn_to_page(pmd_pfn(*pmd))->level, 1);
		test_free_tables(mm, addr[i] & PAGE_MASK, (addr[i] & PAGE_MASK) + PAGE_SIZE);
		KEXPECT(t, !pmd_find(mm, addr[i]));
	}
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"single_bits", single_bits},
	{"none_ignores_harvested_bits", none_ignores_harvested_bits},
	{"rights_change_and_frames_stay", rights_change_and_frames_stay},
	{"protnone_frames_are_out_of_reach", protnone_frames_are_out_of_reach},
	{"rights_are_the_and_of_all_levels", rights_are_the_and_of_all_levels},
	{"parts_tile_a_range", parts_tile_a_range},
	{"tables_are_found_again", tables_are_found_again},
};
KTEST_SUITE(pgtable_suite, "pgtable", "helpers on page-table entries", true, cases);
