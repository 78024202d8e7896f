/*
 * Backtraces. The symbol table is made from the linked image by the Makefile and linked in by a
 * second pass; only functions are in it, and .text comes first, so their addresses do not move.
 */
#include "kernel/debug/backtrace.h"

#include "kernel/debug/ksyms.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/layout.h"
#include "kernel/lib/string.h"

#define MAX_FRAMES 32

extern char __text_start[], __text_end[];

static bool is_text(unsigned long addr)
{
	return addr >= (unsigned long)__text_start && addr < (unsigned long)__text_end;
}

static int find_symbol(unsigned long addr)
{
	unsigned lo = 0, hi = ksyms_count;
	u32 off = addr - (unsigned long)__text_start;

	if (!is_text(addr) || !hi || off < ksyms[0].offset)
		return -1;
	while (hi - lo > 1) {
		unsigned mid = (lo + hi) / 2;

		if (ksyms[mid].offset <= off)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

void symbol_name(unsigned long addr, char *buf, size_t size)
{
	int i = find_symbol(addr);

	if (i < 0)
		snprintf(buf, size, "%#lx", addr);
	else
		snprintf(buf, size, "%s+0x%lx", ksyms[i].name,
			 addr - (unsigned long)__text_start - ksyms[i].offset);
}

unsigned long symbol_address(const char *name)
{
	for (unsigned i = 0; i < ksyms_count; i++)
		if (!strcmp(ksyms[i].name, name))
			return (unsigned long)__text_start + ksyms[i].offset;
	return 0;
}

static void print_frame(unsigned long ip)
{
	char name[80];

	symbol_name(ip, name, sizeof(name));
	printk("#   [%016lx] %s\n", ip, name);
}

/* Frame pointers of the kernel lie in its half, aligned, and grow along the chain. */
static bool plausible_frame(unsigned long bp, unsigned long last)
{
	return bp >= DIRECT_MAP && !(bp & 7) && bp > last && bp < ~0UL - 16;
}

void backtrace_from(unsigned long ip, unsigned long bp)
{
	unsigned long last = 0;

	printk("# backtrace:\n");
	print_frame(ip);
	for (unsigned i = 0; i < MAX_FRAMES && plausible_frame(bp, last); i++) {
		const unsigned long *frame = (const unsigned long *)bp;

		if (!is_text(frame[1]))
			return;
		print_frame(frame[1]);
		last = bp;
		bp = frame[0];
	}
}
