/*
 * The memory map of a loader, whatever it says. Oracle: a byte a page; a page is RAM if some entry
 * says so and no other entry says something else, of which it has a part.
 */
#include "kernel/lib/layout.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"
#include "tests/ktest.h"

#define PAGES 64

enum { SAID_RAM = 1, SAID_ELSE = 2 };

static void check_order(struct ktest *t)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++) {
		const struct mem_region *r = &boot_info.ram[i];

		KEXPECT(t, r->start < r->end && r->end <= DIRECT_MAP_SIZE);
		KEXPECT(t, !(r->start % PAGE_SIZE) && !(r->end % PAGE_SIZE));
		KEXPECT(t, !i || boot_info.ram[i - 1].end < r->start);
	}
}

static bool is_ram(unsigned page)
{
	for (unsigned i = 0; i < boot_info.nr_ram; i++)
		if (boot_info.ram[i].start <= page * PAGE_SIZE &&
		    page * PAGE_SIZE < boot_info.ram[i].end)
			return true;
	return false;
}

static void against_a_map_of_pages(struct ktest *t)
{
	for (unsigned round = 0; round < 200; round++) {
		u8 said[PAGES] = {0};

		boot_info.nr_ram = 0;
		for (unsigned n = rng_below(&t->rng, 12); n--;) {
			u64 first = rng_below(&t->rng, PAGES),
			    len = rng_below(&t->rng, PAGES - first);
			/* Pages of which a part is missing are none. */
			u64 odd = len ? rng_below(&t->rng, 100) : 0;

			boot_add_ram(first * PAGE_SIZE + odd, len * PAGE_SIZE - odd);
			for (u64 i = first + !!odd; i < first + len; i++)
				said[i] |= SAID_RAM;
		}
		for (unsigned n = rng_below(&t->rng, 6); n--;) {
			u64 first = rng_below(&t->rng, PAGES),
			    len = rng_below(&t->rng, PAGES - first);
			u64 odd = len ? rng_below(&t->rng, 100) : 0;

			boot_cut_ram(first * PAGE_SIZE + odd, len * PAGE_SIZE - odd);
			for (u64 i = first; i < first + len; i++)
				said[i] |= SAID_ELSE;
		}
		check_order(t);
		for (unsigned i = 0; i < PAGES; i++)
			KEXPECT_EQ(t, is_ram(i), said[i] == SAID_RAM);
	}
}

static void ends_of_the_world(struct ktest *t)
{
	boot_info.nr_ram = 0;
	boot_add_ram(~0UL - 100, 1000);
	boot_add_ram(~0UL, ~0UL);
	boot_add_ram(DIRECT_MAP_SIZE, PAGE_SIZE);
	boot_add_ram(PAGE_SIZE, 0);
	KEXPECT_EQ(t, boot_info.nr_ram, 0);
	boot_add_ram(1UL << 30, ~0UL);
	KEXPECT_EQ(t, boot_info.nr_ram, 1);
	KEXPECT_EQ(t, boot_info.ram[0].end, DIRECT_MAP_SIZE);
	boot_cut_ram(2UL << 30, ~0UL);
	KEXPECT_EQ(t, boot_info.ram[0].end, 2UL << 30);
	boot_cut_ram(0, ~0UL);
	KEXPECT_EQ(t, boot_info.nr_ram, 0);
}

static void too_many(struct ktest *t)
{
	boot_info.nr_ram = 0;
	for (u64 i = 0; i < 2 * BOOT_MAX_REGIONS; i++)
		boot_add_ram(2 * i * PAGE_SIZE, PAGE_SIZE);
	KEXPECT_EQ(t, boot_info.nr_ram, BOOT_MAX_REGIONS);
	boot_add_ram(0, PAGE_SIZE * 4 * BOOT_MAX_REGIONS);
	KEXPECT_EQ(t, boot_info.nr_ram, 1);
	for (u64 i = 0; i < 2 * BOOT_MAX_REGIONS; i++)
		boot_cut_ram(2 * i * PAGE_SIZE, PAGE_SIZE);
	check_order(t);
}

static const struct ktest_case cases[] = {
	{"against_a_map_of_pages", against_a_map_of_pages},
	{"ends_of_the_world", ends_of_the_world},
	{"too_many", too_many},
};
KTEST_SUITE(boot_info_suite, "boot_info", "a loader's memory map", true, cases);
