/*
 * printk: formats a line and gives it to the console in one piece.
 *
 * What ring 3 writes goes to the same console, and could be any text, the kernel's own words too.
 * So each of its lines begins with a mark, LINE_MARK or PART_MARK, that no line of the kernel
 * begins with, and ends before anybody else writes: ring 3 never writes the first bytes of a line.
 * tests/harness/ktap.py takes the marks off. In the kernel's own lines strings of ring 3, such as
 * names of tasks, lose their control characters, and stand behind a word of the kernel.
 *
 * Lock: console_lock, the innermost of all, taken with interrupts off. It is a word of its own and
 * no spinlock, because those print when they find something wrong. A panic goes without it, because
 * its holder may be one of the CPUs that the panic has stopped.
 */
#include "kernel/debug/printk.h"

#include "kernel/arch/irqflags.h"
#include "kernel/lib/atomic.h"
#include "kernel/lib/string.h"

static bool console_lock;
static bool console_lock_busted;
static bool line_open; /* the kernel's own last line has no end yet; console_lock */
/* What is printed before there is a console; more is lost, and the loss is said. */
static char early[2048];
static size_t early_used, early_lost;

static void keep_early(const char *s, size_t n)
{
	size_t fits = min(n, sizeof(early) - early_used);

	memcpy(early + early_used, s, fits);
	early_used += fits;
	early_lost += n - fits;
}

static console_out_t console_out = keep_early;

void console_open(console_out_t out)
{
	console_out = out;
	console_out(early, early_used);
	early_used = 0;
	if (early_lost)
		pr_warn("%zu characters were printed before there was a console\n", early_lost);
}

/* In PART_MARK's case the program has not ended its line: the next piece goes on with it. */
#define LINE_MARK "| "
#define PART_MARK "|+"
#define MARK_LEN 2
/* Xen 4.17 takes the lock of its console for 127 bytes at a time, and may say something between. */
#define PIECE_MAX 127
#define BUST_SPINS 1000000

console_out_t console_redirect(console_out_t out)
{
	console_out_t was = console_out;

	console_out = out;
	return was;
}

/* Whoever is writing a line may end it, but a lock whose owner never comes back is no obstacle. */
void console_bust_lock(void)
{
	for (unsigned i = 0; i < BUST_SPINS && READ_ONCE(console_lock); i++)
		cpu_relax();
	WRITE_ONCE(console_lock_busted, true);
}

static unsigned long lock_console(void)
{
	unsigned long flags = local_irq_save();

	while (xchg(&console_lock, true))
		cpu_relax();
	return flags;
}

static void unlock_console(unsigned long flags)
{
	smp_store_release(&console_lock, false);
	local_irq_restore(flags);
}

static void console_write(const char *s, size_t n)
{
	bool locked = !console_lock_busted;
	unsigned long flags = 0;

	if (locked)
		flags = lock_console();
	console_out(s, n);
	if (n)
		line_open = s[n - 1] != '\n';
	if (locked)
		unlock_console(flags);
}

/* One line of the console, from the front of [s, s + n); how many of these bytes it took. */
static size_t write_piece(const char *s, size_t n)
{
	char piece[PIECE_MAX];
	size_t len = 0;
	bool whole;

	for (n = min(n, sizeof(piece) - MARK_LEN - 1); len < n && s[len] != '\n'; len++)
		piece[MARK_LEN + len] = s[len];
	whole = len < n;
	memcpy(piece, whole ? LINE_MARK : PART_MARK, MARK_LEN);
	piece[MARK_LEN + len] = '\n';
	console_out(piece, MARK_LEN + len + 1);
	return len + whole;
}

void console_write_user(const char *s, size_t n)
{
	unsigned long flags = lock_console();

	if (line_open)
		console_out("\n", 1);
	line_open = false;
	while (n && !READ_ONCE(console_lock_busted)) {
		size_t done = write_piece(s, n);

		s += done;
		n -= done;
	}
	unlock_console(flags);
}

void vprintk(const char *fmt, va_list args)
{
	char line[512];
	size_t n = vsnprintf_line(line, sizeof(line), fmt, args);

	if (n >= sizeof(line)) {
		n = sizeof(line) - 1;
		memcpy(line + n - 4, "...\n", 4);
	}
	console_write(line, n);
}

void printk(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintk(fmt, args);
	va_end(args);
}
