/*
 * A VGA card in text mode: a character and its colours are 16 bits, row after row.
 *
 * Sources: IBM PS/2 Hardware Interface Technical Reference (1988), Video Subsystem: alphanumeric modes, and the CRT
 * controller's cursor start register. Whether the loader has left such a mode, Multiboot2 says (boot/multiboot2.c).
 */
#include "drivers/vga_text.h"

#include "kernel/arch/io.h"
#include "kernel/lib/compiler.h"
#include "mm/table/pgtable.h"
#include "mm/types/addr.h"

#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CURSOR_START 0x0a
#define CURSOR_OFF 0x20

static volatile u16 *cells;
static paddr_t cells_pa;

static u16 cell(char c, enum vga_colour colour)
{
	return (u8)c | colour << 8;
}

void vga_text_init(paddr_t pa)
{
	cells = __va(pa);
	cells_pa = pa;
	for (unsigned row = 0; row < VGA_ROWS; row++)
		vga_text_row(row, "", 0, VGA_GREY);
	outb(CRTC_INDEX, CURSOR_START);
	outb(CRTC_DATA, CURSOR_OFF);
}

void vga_text_map(void)
{
	static_assert(VGA_COLUMNS * VGA_ROWS * sizeof(*cells) <= PAGE_SIZE,
		      "one page of a device is mapped");
	cells = fixmap_device(cells_pa);
}

void vga_text_row(unsigned row, const char *s, size_t n, enum vga_colour colour)
{
	for (unsigned x = 0; x < VGA_COLUMNS; x++)
		cells[row * VGA_COLUMNS + x] = cell(x < n ? s[x] : ' ', colour);
}

void vga_text_scroll(unsigned first, unsigned last)
{
	for (unsigned i = first * VGA_COLUMNS; i < last * VGA_COLUMNS; i++)
		cells[i] = cells[i + VGA_COLUMNS];
	vga_text_row(last, "", 0, VGA_GREY);
}
