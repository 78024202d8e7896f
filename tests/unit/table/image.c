/*
 * Suite `image`: what the CPU may do with the pages of the kernel's image, and with the same frames
 * through the direct map.
 *
 * Oracle: the entries that the CPU walks, found from CR3 (on Xen the tables are the guest's own, so
 * the walk is the same): text is executable and not writable, rodata neither, data and all else
 * writable and not executable; through the direct map nothing is executable, and text, rodata and
 * page tables are not writable. Rights are the AND of all levels.
 */
#include "kernel/lib/layout.h"
#include "mm/frame/page.h"
#include "mm/table/pgtable.h"
#include "mm/types/addr.h"
#include "pv/pv_ops.h"
#include "tests/ktest.h"

extern char __text_start[], __text_end[], __rodata_end[], __image_end[];

#define CODE 0
#define RODATA _PAGE_NX
#define DATA (_PAGE_RW | _PAGE_NX)
#define NOT_MAPPED (~0UL)

/* RW and NX of @va, or NOT_MAPPED. */
static u64 rights_of(unsigned long va)
{
	const u64 *table = (const u64 *)init_mm.pgd;
	u64 rw = _PAGE_RW, nx = 0;

	for (int shift = PGD_SHIFT;; shift -= 9) {
		u64 entry = READ_ONCE(table[va >> shift & (PTRS_PER_TABLE - 1)]);

		if (!(entry & _PAGE_PRESENT))
			return NOT_MAPPED;
		rw &= entry;
		nx |= entry & _PAGE_NX;
		if (shift == PAGE_SHIFT || (entry & _PAGE_PSE && shift != PGD_SHIFT))
			return rw | nx;
		table = pfn_to_virt(mfn_to_pfn(maddr_to_mfn((maddr_t){entry & PTE_MFN_MASK})));
	}
}

/* A hypervisor may have taken a page of the data for itself, or for a table. */
static bool is_taken(u64 found)
{
	return pv_owns_tables && (found == NOT_MAPPED || found == RODATA);
}

static void expect_rights(struct ktest *t, const char *what, const char *from, const char *to,
			  u64 rights)
{
	unsigned long start = (unsigned long)from, end = (unsigned long)to;

	for (unsigned long va = start; va < end; va += PAGE_SIZE) {
		u64 found = rights_of(va);

		if (found == rights || (rights == DATA && is_taken(found)))
			continue;
		ktest_fail(t, __FILE__, __LINE__, "%s at %#lx has RW and NX %#lx, not %#lx", what,
			   va, found, rights);
		return;
	}
	KEXPECT(t, start < end);
}

static void each_part_has_its_rights(struct ktest *t)
{
	expect_rights(t, "text", __text_start, __text_end, CODE);
	expect_rights(t, "rodata", __text_end, __rodata_end, RODATA);
	expect_rights(t, "data", __rodata_end, __image_end, DATA);
}

static bool is_read_only(pfn_t p)
{
	paddr_t pa = p.v << PAGE_SHIFT;

	if (pa >= __pa_symbol(__text_start) && pa < __pa_symbol(__rodata_end))
		return true;
	return pv_owns_tables && pfn_to_page(p)->kind == PAGE_TABLE &&
	       !(pfn_to_page(p)->pg_flags & PG_PLAIN_TABLE);
}

static void the_direct_map_grants_no_more(struct ktest *t)
{
	for (u64 i = 0; i < max_pfn; i++) {
		u64 found = rights_of(DIRECT_MAP + (i << PAGE_SHIFT));

		if (found == NOT_MAPPED)
			continue;
		if (found & _PAGE_NX && !(found & _PAGE_RW && is_read_only(pfn(i))))
			continue;
		ktest_fail(t, __FILE__, __LINE__, "frame %#lx has RW and NX %#lx in the direct map",
			   i, found);
		return;
	}
}

/* What is not the image's has no second mapping there: a table would be writable through it. */
static void nothing_lies_behind(struct ktest *t)
{
	unsigned long end = ALIGN_UP((unsigned long)__image_end, PAGE_SIZE);

	if (!pv_owns_tables)
		return;
	for (unsigned long va = end; va < end + 4 * PMD_SIZE; va += PAGE_SIZE)
		if (rights_of(va) != NOT_MAPPED) {
			ktest_fail(t, __FILE__, __LINE__, "%#lx is mapped behind the image", va);
			return;
		}
}

static const struct ktest_case cases[] = {
	{"each_part_has_its_rights", each_part_has_its_rights},
	{"the_direct_map_grants_no_more", the_direct_map_grants_no_more},
	{"nothing_lies_behind", nothing_lies_behind},
};
KTEST_SUITE(image_suite, "image", "W^X of the kernel's image and of the direct map", true, cases);
