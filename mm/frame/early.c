/*
 * The boot-time allocator: a list of free ranges, cut from below. No locks: one CPU.
 */
#include "mm/frame/early.h"

#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"
#include "mm/types/addr.h"
#include "mm/types/pgtable_types.h"

#define LOW_MEMORY_END 0x100000 /* BIOS data, AP trampoline */

extern char __text_start[], __rodata_end[], __image_end[];

static struct mem_region free_ranges[BOOT_MAX_REGIONS + 8];
static unsigned nr_free;
static struct mem_region held_ranges[8]; /* free, and not writable yet */
static unsigned nr_held;

static void add_ram(paddr_t start, paddr_t end)
{
	if (start >= end)
		return;
	BUG_ON(nr_free == ARRAY_SIZE(free_ranges));
	free_ranges[nr_free++] = (struct mem_region){start, end};
}

/* Take [start, end) out of the free ranges, splitting them where it must. */
void early_reserve(paddr_t start, paddr_t end)
{
	unsigned n = nr_free;

	end = ALIGN_UP(end, PAGE_SIZE);
	start = ALIGN_DOWN(start, PAGE_SIZE);
	for (unsigned i = 0; i < n; i++) {
		struct mem_region r = free_ranges[i];

		if (end <= r.start || start >= r.end)
			continue;
		free_ranges[i] = (struct mem_region){r.start, max(r.start, start)};
		add_ram(min(r.end, end), r.end);
	}
}

/* Move what is free of [start, end) to the held ranges. */
static void hold(paddr_t start, paddr_t end)
{
	for (unsigned i = 0; i < nr_free; i++) {
		struct mem_region r = {max(free_ranges[i].start, start),
				       min(free_ranges[i].end, end)};

		if (r.start >= r.end)
			continue;
		BUG_ON(nr_held == ARRAY_SIZE(held_ranges));
		held_ranges[nr_held++] = r;
	}
	early_reserve(start, end);
}

void early_release_image_tail(void)
{
	while (nr_held) {
		struct mem_region r = held_ranges[--nr_held];

		add_ram(r.start, r.end);
	}
}

void early_init(void)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		add_ram(boot_info.ram[i].start, boot_info.ram[i].end);
	early_reserve(0, LOW_MEMORY_END);
	early_reserve(__pa_symbol(__text_start), __pa_symbol(__image_end));
	early_reserve(boot_info.module.start, boot_info.module.end);
	hold(ALIGN_DOWN(__pa_symbol(__text_start), PMD_SIZE),
	     ALIGN_UP(__pa_symbol(__rodata_end), PMD_SIZE));
}

u64 early_max_pfn(void)
{
	u64 last = 0;

	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		last = max(last, boot_info.ram[i].end >> PAGE_SHIFT);
	return last;
}

void *early_alloc(size_t size, size_t align)
{
	for (unsigned i = 0; i < nr_free; i++) {
		struct mem_region *r = &free_ranges[i];
		paddr_t start = ALIGN_UP(r->start, (paddr_t)align);

		if (start + size > r->end || start < r->start)
			continue;
		/* What alignment skips stays free for smaller pieces. */
		add_ram(r->start,
			start - r->start >= PAGE_SIZE ? ALIGN_DOWN(start, PAGE_SIZE) : r->start);
		r->start = start + size;
		return memset(__va(start), 0, size);
	}
	panic("out of memory at boot: no %lu KiB free in %u ranges of RAM; give the machine more",
	      size >> 10, nr_free);
}

size_t early_free_bytes(void)
{
	return early_free_pieces(1);
}

size_t early_free_pieces(size_t size)
{
	size_t pieces = 0;

	for (unsigned i = 0; i < nr_free; i++)
		pieces += (free_ranges[i].end - free_ranges[i].start) / size;
	return pieces;
}

void early_for_each_free(void (*fn)(paddr_t start, paddr_t end))
{
	for (unsigned i = 0; i < nr_free; i++) {
		paddr_t start = ALIGN_UP(free_ranges[i].start, PAGE_SIZE);

		if (start < free_ranges[i].end)
			fn(start, free_ranges[i].end);
	}
	nr_free = 0;
}
