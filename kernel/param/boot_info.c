/*
 * struct boot_info and the helpers by which the boot paths fill it. Used before any lock exists, by
 * the boot CPU alone.
 */
#include "kernel/debug/printk.h"
#include "kernel/lib/layout.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"

struct boot_info boot_info;

/* Put @r in the place of the @n regions from @at on. */
static void replace(unsigned at, unsigned n, const struct mem_region *r, unsigned nr_new)
{
	struct mem_region *ram = boot_info.ram;

	if (boot_info.nr_ram - n + nr_new > BOOT_MAX_REGIONS) {
		pr_warn("boot: more than %d memory regions, %#lx-%#lx is not used\n",
			BOOT_MAX_REGIONS, r[nr_new - 1].start, r[nr_new - 1].end);
		nr_new--;
	}
	memmove(ram + at + nr_new, ram + at + n,
		(boot_info.nr_ram - at - n) * sizeof(struct mem_region));
	for (unsigned i = 0; i < nr_new; i++)
		ram[at + i] = r[i];
	boot_info.nr_ram += nr_new - n;
}

static paddr_t end_of(paddr_t start, u64 len)
{
	return start < DIRECT_MAP_SIZE ? start + min(len, DIRECT_MAP_SIZE - start) : start;
}

void boot_add_ram(paddr_t start, u64 len)
{
	struct mem_region *ram = boot_info.ram;
	struct mem_region r = {ALIGN_UP(start, PAGE_SIZE),
			       ALIGN_DOWN(end_of(start, len), PAGE_SIZE)};
	unsigned at = 0, n = 0;

	if (start > ~0UL - PAGE_SIZE || r.start >= r.end)
		return;
	while (at < boot_info.nr_ram && ram[at].end < r.start)
		at++;
	for (; at + n < boot_info.nr_ram && ram[at + n].start <= r.end; n++)
		r = (struct mem_region){min(r.start, ram[at + n].start),
					max(r.end, ram[at + n].end)};
	replace(at, n, &r, 1);
}

void boot_cut_ram(paddr_t start, u64 len)
{
	paddr_t from = ALIGN_DOWN(start, PAGE_SIZE), to = ALIGN_UP(end_of(start, len), PAGE_SIZE);

	if (!len)
		return;
	for (unsigned i = boot_info.nr_ram; i-- > 0;) {
		struct mem_region r = boot_info.ram[i], left[2];
		unsigned n = 0;

		if (r.end <= from || r.start >= to)
			continue;
		if (r.start < from)
			left[n++] = (struct mem_region){r.start, from};
		if (r.end > to)
			left[n++] = (struct mem_region){to, r.end};
		replace(i, 1, left, n);
	}
}

void boot_set_cmdline(const char *s)
{
	boot_info.cmdline_truncated = strnlen(s, BOOT_CMDLINE_MAX) >= BOOT_CMDLINE_MAX;
	strlcpy(boot_info.cmdline, s, BOOT_CMDLINE_MAX);
}
