/*
 * printk: formats a line and gives it to the console in one piece.
 *
 * Lock: console_lock, the innermost of all (lock_order.h), taken with interrupts off. A panic goes
 * without it, because its holder may be one of the CPUs that the panic has stopped.
 */
#include "kernel/printk.h"

#include "kernel/spinlock.h"
#include "kernel/string.h"

static DEFINE_SPINLOCK(console_lock, LOCK_CONSOLE);
static bool console_lock_busted;
static bool line_open; /* console_lock */
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

static void (*console_out)(const char *s, size_t n) = keep_early;

void console_open(void (*out)(const char *s, size_t n))
{
	console_out = out;
	console_out(early, early_used);
	early_used = 0;
	if (early_lost)
		pr_warn("%zu characters were printed before there was a console\n", early_lost);
}

void console_bust_lock(void)
{
	console_lock_busted = true;
}

void console_write(const char *s, size_t n) __no_thread_safety
{
	bool locked = !console_lock_busted;
	unsigned long flags = 0;

	if (locked)
		flags = spin_lock_irqsave(&console_lock);
	console_out(s, n);
	if (n)
		line_open = s[n - 1] != '\n';
	if (locked)
		spin_unlock_irqrestore(&console_lock, flags);
}

void console_fresh_line(void)
{
	if (READ_ONCE(line_open))
		console_write("\n", 1);
}

void vprintk(const char *fmt, va_list args)
{
	char line[512];
	size_t n = vsnprintf(line, sizeof(line), fmt, args);

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
