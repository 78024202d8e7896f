/*
 * What every boot path hands to start_kernel(): PVH, Multiboot2 and Xen PV fill the same
 * struct, so that nothing after the first page of C knows which loader ran.
 */
#pragma once

#include "kernel/lib/types.h"

enum boot_protocol { BOOT_PVH, BOOT_MULTIBOOT2, BOOT_UNKNOWN };
/* What the loader says of the screen; unknown: it has no word for that. */
enum boot_screen { SCREEN_UNKNOWN, SCREEN_NONE, SCREEN_TEXT, SCREEN_GRAPHICS };

#define BOOT_MAX_REGIONS 128
#define BOOT_CMDLINE_MAX 2048

struct mem_region {
	paddr_t start, end; /* [start, end), RAM that the loader left to us */
};

struct boot_info {
	const char *protocol;
	char cmdline[BOOT_CMDLINE_MAX];
	bool cmdline_truncated;
	struct mem_region ram[BOOT_MAX_REGIONS];
	unsigned nr_ram;
	struct mem_region module; /* the first boot module, or empty */
	paddr_t rsdp;		  /* 0: look in the BIOS areas */
	enum boot_screen screen;
	paddr_t text_cells; /* of SCREEN_TEXT */
};

extern struct boot_info boot_info;

/* Fills boot_info from the loader's structure at @info; panics if it is not what it should be. */
void boot_parse_pvh(paddr_t info);
/* The same of a Multiboot2 information structure. */
void boot_parse_multiboot2(paddr_t info);

/*
 * For the parsers, in bytes. Maps that overlap, that are in no order, or that reach beyond what can
 * be addressed are usual: boot_info.ram is in order, without overlap, of whole pages. What a map
 * calls RAM and something else, too, is not RAM: all RAM is added first, then the rest is cut out
 * of it.
 */
void boot_add_ram(paddr_t start, u64 len);
/*
 * [@start, @start + @len) is no RAM, nor is the rest of its first and last page. After all of
 * boot_add_ram().
 */
void boot_cut_ram(paddr_t start, u64 len);
/* Copy the command line @s, or as much of it as there is room for: cmdline_truncated. */
void boot_set_cmdline(const char *s);
