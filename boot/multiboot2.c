/*
 * The Multiboot2 boot path: GRUB on BIOS and on UEFI hands over a list of tags
 * (Multiboot2 specification 2.0, 3.6). Runs on the boot CPU, before any lock exists.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"
#include "mm/types/addr.h"

enum {
	TAG_END = 0,
	TAG_CMDLINE = 1,
	TAG_MODULE = 3,
	TAG_MMAP = 6,
	TAG_FRAMEBUFFER = 8,
	TAG_ACPI_OLD = 14,
	TAG_ACPI_NEW = 15,
};

#define MMAP_AVAILABLE 1
#define FRAMEBUFFER_TEXT 2
#define TEXT_COLUMNS 80
#define TEXT_ROWS 25

struct mb2_tag {
	u32 type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
	char cmdline[];
};

struct mb2_mmap_entry {
	u64 base, length;
	u32 type, reserved;
};

struct mb2_framebuffer {
	struct mb2_tag tag;
	u64 address;
	u32 pitch, width, height; /* in characters, if it is text */
	u8 bits, type;
};

struct mb2_mmap {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
	char entries[];
};

static void for_each_entry(const struct mb2_mmap *map, bool available,
			   void (*fn)(paddr_t start, u64 len))
{
	const char *p = map->entries, *end = (const char *)map + map->tag.size;

	for (; p + map->entry_size <= end; p += map->entry_size) {
		const struct mb2_mmap_entry *e = (const void *)p;

		if ((e->type == MMAP_AVAILABLE) == available)
			fn(e->base, e->length);
	}
}

static void parse_mmap(const struct mb2_mmap *map)
{
	if (map->entry_size < sizeof(struct mb2_mmap_entry))
		panic("boot: Multiboot2 memory map has entries of %u bytes", map->entry_size);
	for_each_entry(map, true, boot_add_ram);
	for_each_entry(map, false, boot_cut_ram);
}

static void parse_framebuffer(const struct mb2_framebuffer *f)
{
	bool text =
		f->type == FRAMEBUFFER_TEXT && f->width == TEXT_COLUMNS && f->height == TEXT_ROWS;

	boot_info.screen = text ? SCREEN_TEXT : SCREEN_GRAPHICS;
	boot_info.text_cells = f->address;
}

/*
 * The tag holds a copy of the RSDP, in memory that will be allocated: keep it in the image. The new
 * one, which has the XSDT, is preferred.
 */
static void save_rsdp(const struct mb2_tag *tag)
{
	static u8 rsdp[64];

	if (tag->type == TAG_ACPI_OLD && boot_info.rsdp)
		return;
	memcpy(rsdp, tag + 1, min(tag->size - sizeof(*tag), sizeof(rsdp)));
	boot_info.rsdp = __pa_symbol(rsdp);
}

static void parse_tag(const struct mb2_tag *tag)
{
	const struct mb2_module *mod = (const void *)tag;

	switch (tag->type) {
	case TAG_CMDLINE:
		boot_set_cmdline((const char *)(tag + 1));
		break;
	case TAG_MODULE:
		if (!boot_info.module.end)
			boot_info.module = (struct mem_region){mod->start, mod->end};
		break;
	case TAG_MMAP:
		parse_mmap((const void *)tag);
		break;
	case TAG_FRAMEBUFFER:
		parse_framebuffer((const void *)tag);
		break;
	case TAG_ACPI_OLD:
	case TAG_ACPI_NEW:
		save_rsdp(tag);
		break;
	}
}

void boot_parse_multiboot2(paddr_t info)
{
	const u32 *header = __va(info);
	const char *p = (const char *)(header + 2), *end = (const char *)header + header[0];

	boot_info.protocol = "multiboot2";
	boot_info.screen = SCREEN_NONE;
	while (p + sizeof(struct mb2_tag) <= end) {
		const struct mb2_tag *tag = (const void *)p;

		if (tag->type == TAG_END)
			break;
		if (tag->size < sizeof(*tag))
			panic("boot: Multiboot2 tag %u has size %u", tag->type, tag->size);
		parse_tag(tag);
		p += ALIGN_UP(tag->size, 8u);
	}
	if (!boot_info.nr_ram)
		panic("boot: Multiboot2 information at %#lx has no memory map", info);
}
