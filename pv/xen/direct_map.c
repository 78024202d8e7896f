/*
 * Xen PV: the direct map, built at boot beside the initial mapping, and W^X for the image.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/layout.h"
#include "mm/frame/early.h"
#include "mm/mm.h"
#include "mm/types/addr.h"
#include "pv/xen/xen.h"

extern char __text_start[], __text_end[], __rodata_end[], __image_end[];

/* A page of the image whose address is a window on frames that nothing else maps writable. */
static u64 window[PTRS_PER_TABLE] __aligned(PAGE_SIZE);

static u64 initial_pfn(unsigned long va)
{
	return (va - KERNEL_BASE) >> PAGE_SHIFT;
}

u64 xen_first_free_pfn(void)
{
	/* Behind the initial tables comes the initial stack, one page. */
	return initial_pfn(xen_start_info->pt_base) + xen_start_info->nr_pt_frames + 1;
}

/* Where memory can be read: in the initial mapping, and once that goes, in the direct map. */
static unsigned long readable_base = KERNEL_BASE;

static const u64 *initial_table(u64 mfn)
{
	return (const u64 *)(readable_base + (xen_mfn_to_pfn(mfn) << PAGE_SHIFT));
}

/* True if Xen's builder mapped @va. */
static bool initially_mapped(unsigned long va)
{
	const u64 *table = (const u64 *)(readable_base + xen_start_info->pt_base - KERNEL_BASE);

	for (int shift = PGD_SHIFT; shift > PAGE_SHIFT; shift -= 9) {
		u64 entry = table[va >> shift & 511];

		if (!(entry & _PAGE_PRESENT))
			return false;
		table = initial_table((entry & PTE_MFN_MASK) >> PAGE_SHIFT);
	}
	return table[va >> PAGE_SHIFT & 511] & _PAGE_PRESENT;
}

static void map_initial(unsigned long va, u64 entry)
{
	long err = xen_update_va_mapping(va, entry, UVMF_INVLPG | UVMF_LOCAL);

	if (err)
		panic("xen: initial mapping of %#lx cannot become %#lx: %ld", va, entry, err);
}

/* Frames of the p2m list and of the tables that map it; Xen's builder put them out of the way. */
static bool is_p2m(u64 p)
{
	return p - xen_start_info->first_p2m_pfn < xen_start_info->nr_p2m_frames;
}

static struct {
	u64 first, l1, l2, end; /* frames of the new tables: L1s, then L2s, then the L3 */
} tables;

static u64 direct_entry(u64 p)
{
	u64 pt = initial_pfn(xen_start_info->pt_base);
	bool table = (p >= pt && p < pt + xen_start_info->nr_pt_frames) ||
		     (p >= tables.first && p < tables.end);
	bool image = p >= initial_pfn((unsigned long)__text_start) &&
		     p < initial_pfn((unsigned long)__rodata_end);

	return xen_p2m[p] << PAGE_SHIFT |
	       (table || image || is_p2m(p) ? XEN_KERNEL_RO : XEN_KERNEL_RW);
}

/* Fill the table in frame @p with @n entries that @entry gives, through the window. */
static void fill_frame(u64 p, u64 base, u64 limit, u64 (*entry)(u64 index))
{
	map_initial((unsigned long)window, xen_p2m[p] << PAGE_SHIFT | XEN_KERNEL_RW);
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		WRITE_ONCE(window[i], base + i < limit ? entry(base + i) : 0);
	map_initial((unsigned long)window, 0);
}

static u64 table_entry(u64 p)
{
	return xen_p2m[p] << PAGE_SHIFT | _KERNPG_TABLE;
}

/* Lay the new tables out from frame @first on. */
static void place_tables(u64 first, u64 nr_pages)
{
	tables.first = tables.l1 = first;
	tables.l2 = tables.l1 + (nr_pages + 511) / 512;
	tables.end = tables.l2 + (tables.l2 - tables.l1 + 511) / 512 + 1;
}

/* In memory that the initial mapping does not reach, and not where the p2m is. */
static void choose_tables(u64 nr_pages)
{
	u64 p2m = xen_start_info->first_p2m_pfn, p2m_end = p2m + xen_start_info->nr_p2m_frames;
	u64 first = xen_first_free_pfn();

	while (initially_mapped(KERNEL_BASE + (first << PAGE_SHIFT)))
		first++;
	place_tables(first, nr_pages);
	if (tables.first < p2m_end && p2m < tables.end)
		place_tables(p2m_end, nr_pages);
	if (tables.end > nr_pages)
		panic("xen: %lu pages are too few", nr_pages);
}

/*
 * Map all of memory at DIRECT_MAP. Nothing maps the new tables writable, and they are linked from
 * below. Then the initial mapping keeps the image alone: any other frame may become a table, and
 * must not be writable there.
 */
void xen_direct_map_init(void)
{
	u64 nr = xen_start_info->nr_pages;
	struct mmu_update link;
	unsigned done = 0;

	BUG_ON(xen_p2m != (const u64 *)XEN_P2M);
	choose_tables(nr);
	for (u64 i = 0; i < tables.l2 - tables.l1; i++)
		fill_frame(tables.l1 + i, i * 512, nr, direct_entry);
	for (u64 i = 0; i < tables.end - 1 - tables.l2; i++)
		fill_frame(tables.l2 + i, tables.l1 + i * 512, tables.l2, table_entry);
	fill_frame(tables.end - 1, tables.l2, tables.end - 1, table_entry);

	link.ptr = (xen_p2m[initial_pfn(xen_start_info->pt_base)] << PAGE_SHIFT) +
		   (DIRECT_MAP >> PGD_SHIFT & 511) * 8;
	link.val = table_entry(tables.end - 1);
	xen_check("the direct map", xen_mmu_update(&link, 1, &done));
	BUG_ON(done != 1);
	early_reserve(tables.first << PAGE_SHIFT, tables.end << PAGE_SHIFT);
	early_reserve(xen_start_info->first_p2m_pfn << PAGE_SHIFT,
		      (xen_start_info->first_p2m_pfn + xen_start_info->nr_p2m_frames)
			      << PAGE_SHIFT);
	init_mm.pgd = __va(initial_pfn(xen_start_info->pt_base) << PAGE_SHIFT);
}

void xen_protect_image(void)
{
	unsigned long va = KERNEL_BASE;

	xen_start_info = __va((vaddr_t)xen_start_info - KERNEL_BASE);
	readable_base = DIRECT_MAP;

	for (; initially_mapped(va) || va < (unsigned long)__image_end; va += PAGE_SIZE) {
		u64 frame = xen_p2m[initial_pfn(va)] << PAGE_SHIFT;

		if (va == (unsigned long)window || va == (unsigned long)xen_shared_info)
			continue;
		if (va < (unsigned long)__text_start || va >= (unsigned long)__image_end)
			map_initial(va, 0);
		else if (va < (unsigned long)__text_end)
			map_initial(va, frame | (XEN_KERNEL_RO & ~_PAGE_NX));
		else if (va < (unsigned long)__rodata_end)
			map_initial(va, frame | XEN_KERNEL_RO);
		else
			map_initial(va, frame | XEN_KERNEL_RW);
	}
}
