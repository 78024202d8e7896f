/*
 * What a person in front of the machine sees: where the output goes, which suite runs, how each ended, and the verdict.
 *
 * Everything goes to the serial port. Of its lines the screen has those that `shown` names, each below the one before, and
 * the suite that runs now in its last row, where the verdict stands at the end. Lines of programs begin with a mark
 * (kernel/debug/printk.c), and so are never among them.
 *
 * All is written under the console's lock, or by a CPU that panics and has stopped the others.
 */
#include "boot/screen.h"

#include "drivers/serial.h"
#include "drivers/vga_text.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "kernel/param/boot_info.h"

enum {
	TITLE = 0,
	WHERE = 1,
	WHAT = 2,
	FIRST_LINE = 4,
	LAST_LINE = VGA_ROWS - 2,
	STATUS = VGA_ROWS - 1
};

#define SUBTEST "    # Subtest: "
#define BEFORE_TEST strlen("    # Sub") /* behind it is "test: NAME" */
#define PASSED "# verdict passed"

/* Lines of the console by how they begin. */
static const struct {
	const char *begins;
	enum vga_colour colour;
} shown[] = {
	{"# pteron ", VGA_WHITE}, {"ok ", VGA_GREY},	 {"not ok ", VGA_RED},
	{"# panic: ", VGA_RED},	  {"# hang: ", VGA_RED}, {"# error: ", VGA_RED},
	{"# init: ", VGA_WHITE},  {PASSED, VGA_GREEN},	 {"# verdict ", VGA_RED},
};

static bool is_open;
static char console_line[VGA_COLUMNS + 1]; /* of the console, as far as it has come */
static size_t used;
static unsigned next_row = FIRST_LINE;

static bool begins_with(const char *words)
{
	return !strncmp(console_line, words, strlen(words));
}

static void add_line(enum vga_colour colour)
{
	if (next_row > LAST_LINE) {
		vga_text_scroll(FIRST_LINE, LAST_LINE);
		next_row = LAST_LINE;
	}
	vga_text_row(next_row++, console_line, used, colour);
}

static void show(void)
{
	if (begins_with(SUBTEST))
		vga_text_row(STATUS, console_line + BEFORE_TEST, used - BEFORE_TEST, VGA_GREY);
	for (unsigned i = 0; i < ARRAY_SIZE(shown); i++) {
		if (!begins_with(shown[i].begins))
			continue;
		add_line(shown[i].colour);
		if (begins_with("# verdict "))
			vga_text_row(STATUS, console_line + 2, used - 2, shown[i].colour);
		return;
	}
}

static void screen_write(const char *s, size_t n)
{
	for (; n; n--, s++) {
		if (*s != '\n') {
			if (used < VGA_COLUMNS)
				console_line[used++] = *s;
			continue;
		}
		console_line[used] = '\0';
		show();
		used = 0;
	}
}

static void write_to_both(const char *s, size_t n)
{
	serial_write(s, n);
	screen_write(s, n);
}

static void say(unsigned row, const char *text)
{
	vga_text_row(row, text, strlen(text), VGA_WHITE);
}

void screen_open(void)
{
	if (boot_info.screen == SCREEN_UNKNOWN)
		return;
	if (boot_info.screen != SCREEN_TEXT) {
		pr_info("screen: %s: suites and verdict are on the serial port only\n",
			boot_info.screen == SCREEN_NONE ? "none that the loader knows of"
							: "no VGA text, but graphics");
		return;
	}
	vga_text_init(boot_info.text_cells);
	is_open = true;
	say(TITLE, "Pteron: page tables changed in batches, and the tests that look for mistakes.");
	say(WHERE, "All output goes to the first serial port (COM1, 115200 baud, 8N1).");
	say(WHAT, "This screen shows how each suite ends, the one that runs, and the verdict.");
	console_open(write_to_both);
}

void screen_map(void)
{
	if (is_open)
		vga_text_map();
}
