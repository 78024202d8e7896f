/*
 * The kernel's own page tables: the direct map of all RAM, rw- and no-execute, and the image. Built
 * once, by the boot CPU, from boot-time memory; the L4 entries of the kernel half are complete here
 * and every mm copies them, so that no kernel mapping ever has to be propagated.
 */
#include "kernel/arch/io.h"
#include "kernel/param/boot_info.h"
#include "mm/frame/early.h"
#include "mm/lazy/tlb.h"
#include "mm/table/pgtable.h"

static_assert(sizeof(pte_t) == 8 && sizeof(pgd_t) == 8, "entries are 8 bytes");

extern char __text_start[], __rodata_end[];
extern pgd_t boot_pml4[];

struct mm init_mm = {
	.page_table_lock = SPINLOCK_INIT(LOCK_PAGE_TABLE),
	.users = {1},
};

static void *early_table(void)
{
	return early_alloc(PAGE_SIZE, PAGE_SIZE);
}

static u64 link_early(void *table)
{
	return __pa(table) | _KERNPG_TABLE;
}

static pmd_t *early_pmd(unsigned long va)
{
	pgd_t *pgd = init_mm.pgd + pgd_index(va);
	pud_t *pud;

	if (pgd_none(*pgd))
		pgd->v = link_early(early_table());
	pud = (pud_t *)__va(pgd->v & PTE_MFN_MASK) + pud_index(va);
	if (pud_none(*pud))
		pud->v = link_early(early_table());
	return (pmd_t *)__va(pud->v & PTE_MFN_MASK) + pmd_index(va);
}

/* Text and rodata stay read-only through the direct map too. */
static bool is_read_only(paddr_t pa)
{
	return pa >= __pa_symbol(__text_start) && pa < __pa_symbol(__rodata_end);
}

static void map_page(paddr_t pa)
{
	unsigned long va = DIRECT_MAP + pa;
	pmd_t *pmd = early_pmd(va);

	if (pmd_none(*pmd))
		pmd->v = link_early(early_table());
	((pte_t *)__va(pmd->v & PTE_MFN_MASK))[pte_index(va)].v =
		pa | (is_read_only(pa) ? _PAGE_KERNEL_RO : _PAGE_KERNEL);
}

static bool overlaps_image(paddr_t pa)
{
	return pa < __pa_symbol(__rodata_end) && pa + PMD_SIZE > __pa_symbol(__text_start);
}

/* In 2 MiB pages; in small ones where a hypervisor makes single frames read-only. */
static void map_range(paddr_t pa, paddr_t end)
{
	while (pa < end) {
		if (!pv_validates_updates && pmd_start(pa) == pa && end - pa >= PMD_SIZE &&
		    !overlaps_image(pa)) {
			early_pmd(DIRECT_MAP + pa)->v = pa | _PAGE_KERNEL | _PAGE_PSE;
			pa += PMD_SIZE;
		} else {
			map_page(pa);
			pa += PAGE_SIZE;
		}
	}
}

void *fixmap_device(paddr_t pa)
{
	static unsigned long next = FIXMAP;
	unsigned long va = next;
	pmd_t *pmd = early_pmd(va);

	next += PAGE_SIZE;
	if (pmd_none(*pmd))
		pmd->v = link_early(early_table());
	((pte_t *)__va(pmd->v & PTE_MFN_MASK))[pte_index(va)].v =
		(pa & PAGE_MASK) | _PAGE_KERNEL | _PAGE_PCD | _PAGE_PWT;
	return (char *)va + (pa & ~PAGE_MASK);
}

void direct_map_init(void)
{
	init_mm.pgd = early_table();
	init_mm.pgd[511] = boot_pml4[511];
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		map_range(boot_info.ram[i].start, boot_info.ram[i].end);
	/* The one L4 entry of the kernel stacks, before any mm copies the kernel half. */
	early_pmd(KSTACK_AREA);
	early_pmd(FIXMAP);
	write_cr3(__pa(init_mm.pgd));
	write_cr4(read_cr4() & ~BIT(7)); /* drop global entries of the boot tables */
	write_cr4(read_cr4() | BIT(7));
}
