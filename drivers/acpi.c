/*
 * ACPI: RSDP to RSDT or XSDT to MADT, FADT and HPET. Sources: ACPI 6.5, 5.2.5-5.2.9 and 5.2.12;
 * IA-PC HPET 1.0a, 3.2.4. Reads through the boot direct map (the first 4 GiB). Boot CPU only.
 */
#include "drivers/acpi.h"

#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "mm/types/addr.h"

#define BOOT_MAP_END (4UL << 30)
#define BIOS_AREA_START 0xe0000
#define BIOS_AREA_END 0x100000
#define LAPIC_ENABLED BIT(0)
#define PM_TIMER_LEN 4
#define FADT_TIMER_32BIT BIT(8)
#define SPACE_MEMORY 0

enum { MADT_LAPIC = 0, MADT_LAPIC_OVERRIDE = 5, MADT_X2APIC = 9 };

struct rsdp {
	char signature[8];
	u8 checksum;
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 extended_checksum, reserved[3];
} __packed;

struct sdt {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[6], oem_table[8];
	u32 oem_revision, creator, creator_revision;
} __packed;

struct madt {
	struct sdt header;
	u32 lapic_address, flags;
	u8 entries[];
} __packed;

struct fadt {
	struct sdt header;
	u8 unused1[40];
	u32 pm_timer_block;
	u8 unused2[11], pm_timer_len;
	u8 unused3[20];
	u32 flags;
	u8 reset[12];
} __packed;
static_assert(offsetof(struct fadt, pm_timer_block) == 76 && offsetof(struct fadt, flags) == 112,
	      "");

struct hpet {
	struct sdt header;
	u32 id;
	u8 space, width, offset, access;
	u64 address;
	u8 number;
	u16 min_tick;
	u8 protection;
} __packed;

struct acpi_info acpi_info;

static bool checksum_ok(const void *p, size_t n)
{
	const u8 *b = p;
	u8 sum = 0;

	while (n--)
		sum += *b++;
	return sum == 0;
}

static const struct rsdp *find_rsdp(u64 hint)
{
	if (hint)
		return __va(hint);
	for (paddr_t pa = BIOS_AREA_START; pa < BIOS_AREA_END; pa += 16)
		if (!memcmp(__va(pa), "RSD PTR ", 8) && checksum_ok(__va(pa), 20))
			return __va(pa);
	panic("acpi: no RSDP: the loader gave none and the BIOS area has none");
}

static const struct sdt *map_sdt(u64 pa)
{
	const struct sdt *t = __va(pa);

	if (pa >= BOOT_MAP_END || pa + t->length > BOOT_MAP_END || !checksum_ok(t, t->length))
		panic("acpi: the table at %#lx is out of reach or has a bad checksum", pa);
	return t;
}

/* NULL: there is none. Entries of the RSDT are 4 bytes, those of the XSDT 8, and not aligned. */
static const void *find_table(const struct rsdp *rsdp, const char *signature)
{
	bool x = rsdp->revision >= 2 && rsdp->xsdt;
	const struct sdt *root = map_sdt(x ? rsdp->xsdt : rsdp->rsdt);
	const u8 *p = (const u8 *)(root + 1), *end = (const u8 *)root + root->length;

	for (; p < end; p += x ? 8 : 4) {
		u64 pa = 0;
		const struct sdt *t;

		memcpy(&pa, p, x ? 8 : 4);
		t = __va(pa);
		if (pa < BOOT_MAP_END && !memcmp(t->signature, signature, 4))
			return map_sdt(pa);
	}
	return NULL;
}

static void add_cpu(u32 apic_id, u32 flags)
{
	if (!(flags & LAPIC_ENABLED))
		return;
	if (acpi_info.nr_cpus == MAX_CPUS)
		acpi_info.nr_ignored++;
	else
		acpi_info.apic_id[acpi_info.nr_cpus++] = apic_id;
}

static u32 read32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void parse_madt(const struct madt *madt)
{
	const u8 *p = madt->entries, *end = (const u8 *)madt + madt->header.length;

	acpi_info.lapic_address = madt->lapic_address;
	for (; p + 2 <= end; p += p[1]) {
		if (p[1] < 2)
			panic("acpi: MADT entry of %u bytes", p[1]);
		if (p[0] == MADT_LAPIC)
			add_cpu(p[3], read32(p + 4));
		else if (p[0] == MADT_X2APIC)
			add_cpu(read32(p + 4), read32(p + 8));
		else if (p[0] == MADT_LAPIC_OVERRIDE)
			memcpy(&acpi_info.lapic_address, p + 4, 8);
	}
}

/* Old tables end before the 64-bit address; a reduced-hardware platform has no PM timer. */
static void parse_fadt(const struct fadt *fadt)
{
	if (!fadt || fadt->header.length < offsetof(struct fadt, reset))
		return;
	if (fadt->pm_timer_len != PM_TIMER_LEN || fadt->pm_timer_block > 0xffff)
		return;
	acpi_info.pm_timer_port = fadt->pm_timer_block;
	acpi_info.pm_timer_mask = fadt->flags & FADT_TIMER_32BIT ? ~0U : BIT(24) - 1;
}

static void parse_hpet(const struct hpet *hpet)
{
	if (hpet && hpet->header.length >= sizeof(*hpet) && hpet->space == SPACE_MEMORY)
		acpi_info.hpet_address = hpet->address;
}

void acpi_init(u64 hint)
{
	const struct rsdp *rsdp = find_rsdp(hint);
	const struct madt *madt = find_table(rsdp, "APIC");

	if (!madt)
		panic("acpi: no MADT");
	parse_madt(madt);
	parse_fadt(find_table(rsdp, "FACP"));
	parse_hpet(find_table(rsdp, "HPET"));
	if (acpi_info.nr_ignored)
		pr_warn("acpi: %u CPUs more than the %d that Pteron supports\n",
			acpi_info.nr_ignored, MAX_CPUS);
}
