/*
 * The audit of memory: every frame is accounted for. Whoever owns frames goes along what it has and
 * counts each in audit_mappings; then each frame must have been found as often as its kind says: a
 * user page by each of its references, any other one once. What nobody has found is leaked.
 *
 * Everything is at rest: no locks but those of the lists that are gone along.
 */
#include "mm/space/audit_internal.h"

#include "kernel/lib/layout.h"
#include "mm/frame/slab.h"
#include "mm/range/zeromap.h"
#include "mm/table/pgtable.h"
#include "mm/table/table_reserve.h"
#include "mm/vma/shmem.h"

static const char *const page_kind_names[NR_PAGE_KINDS] = {
	[PAGE_RESERVED] = "reserved",
	[PAGE_FREE] = "free",
	[PAGE_USER] = "user",
	[PAGE_TABLE] = "table",
	[PAGE_KERNEL_TABLE] = "kernel table",
	[PAGE_TABLE_RESERVE] = "reserve of tables",
	[PAGE_SLAB] = "slab",
	[PAGE_KSTACK] = "kernel stack",
	[PAGE_KERNEL] = "kernel",
};

static void found(struct page *page)
{
	page->audit_mappings++;
}

/* --- the kernel's stacks, and the tables that map them --- */

static struct page *found_frame(u64 entry)
{
	u64 frame = mfn_to_pfn(maddr_to_mfn((maddr_t){entry & PTE_MFN_MASK})).v;

	if (!(entry & _PAGE_PRESENT) || frame >= max_pfn)
		return NULL;
	found(pfn_to_page(pfn(frame)));
	return pfn_to_page(pfn(frame));
}

static void find_below(const struct page *table, unsigned level)
{
	const u64 *e = page_to_virt(table);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		const struct page *page = found_frame(e[i]);

		if (page && level > 1)
			find_below(page, level - 1);
	}
}

static void find_kernel_stacks(void)
{
	const struct page *l3 = found_frame(pgd_offset(&init_mm, KSTACK_AREA)->v);

	if (l3)
		find_below(l3, 3);
}

/* --- slabs --- */

static void check_slab(struct audit *a, struct page *page)
{
	const char *wrong = slab_check(page_to_virt(page));

	found(page);
	if (wrong)
		audit_report(a, "slab %#lx: %s", page_to_pfn(page).v, wrong);
}

/* --- tables without a link --- */

static struct audit *reserve_audit; /* there is one audit at a time */

static void find_reserve(struct page *page)
{
	const u64 *e = page_to_virt(page);
	unsigned end = PTRS_PER_TABLE / (page->level == 4 ? 2 : 1);

	found(page);
	if (page->backend)
		found(pfn_to_page(pfn(page->backend)));
	for (unsigned i = 0; i < end; i++)
		if (e[i] & ~_PAGE_AD)
			audit_report(reserve_audit, "table %#lx in reserve has entry %u = %#lx",
				     page_to_pfn(page).v, i, e[i]);
}

/* --- each frame --- */

static void check_user_page(struct audit *a, const struct page *page)
{
	int refs = atomic_read(&page->refcount);

	if ((u32)refs != page->audit_mappings || refs <= 0)
		audit_report(a, "page %#lx has %d references, and %u were found",
			     page_to_pfn(page).v, refs, page->audit_mappings);
}

static void check_frame(struct audit *a, struct page *page)
{
	u64 frame = page_to_pfn(page).v;

	if (page->kind == PAGE_USER)
		check_user_page(a, page);
	else if (page->kind != PAGE_RESERVED && page->audit_mappings != 1)
		audit_report(a, "frame %#lx (%s) was found %u times", frame,
			     page_kind_names[page->kind], page->audit_mappings);
	if (page->kind == PAGE_FREE && page->pg_flags)
		audit_report(a, "free frame %#lx has flags %#x of its former life", frame,
			     page->pg_flags);
}

void audit_frames(struct audit *a)
{
	s64 counted[NR_PAGE_KINDS] = {0};

	reserve_audit = a;
	page_for_each_free(found);
	table_reserve_for_each(find_reserve);
	shmem_for_each_node(found);
	find_kernel_stacks();
	found(zero_page);
	for (u64 i = 0; i < max_pfn; i++) {
		struct page *page = pfn_to_page(pfn(i));

		if (page->kind == PAGE_SLAB)
			check_slab(a, page);
		check_frame(a, page);
		counted[page->kind]++;
	}
	for (unsigned kind = PAGE_FREE; kind < NR_PAGE_KINDS; kind++)
		if (counted[kind] != page_kind_count(kind))
			audit_report(a, "there are %ld frames of kind %s, and %ld are counted",
				     counted[kind], page_kind_names[kind], page_kind_count(kind));
}
