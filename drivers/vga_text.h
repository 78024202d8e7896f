/* The text mode of a VGA card, 80 by 25 characters: rows that are written whole. No lock: the caller serialises. */
#pragma once

#include "kernel/lib/types.h"

#define VGA_COLUMNS 80
#define VGA_ROWS 25

enum vga_colour { VGA_GREY = 0x07, VGA_GREEN = 0x0a, VGA_RED = 0x0c, VGA_WHITE = 0x0f };

/* Boot CPU, once, on the boot tables: the screen's memory is at @pa. It is cleared, and the cursor hidden. */
void vga_text_init(paddr_t pa);
/* The same memory once more, in the tables that stay: right after direct_map_init(). */
void vga_text_map(void);
/* Row @row, below VGA_ROWS, becomes the first @n characters of @s, and blanks. */
void vga_text_row(unsigned row, const char *s, size_t n, enum vga_colour colour);
/* Rows @first to @last go up by one: @first is lost, and @last is blank. */
void vga_text_scroll(unsigned first, unsigned last);
