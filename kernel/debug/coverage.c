/*
 * Which lines ran: at the end of a run, or in the report of a panic, the counters of gcc's gcov go
 * to the console, and ./pteron coverage (tests/harness/coverage.py) makes .gcda files of them. Only
 * in a build for that (COVERAGE=1), in which mm/ and pv/ count.
 *
 * libgcov brings the format of the files. It is asked for nothing else, and by one CPU with
 * interrupts off: its code uses the red zone. Source: gcc's libgcc/gcov.h, and "Profiling and Test
 * Coverage in Freestanding Environments" in gcc's manual (gcc 12 or later).
 */
#include "kernel/debug/coverage.h"

#ifdef CONFIG_COVERAGE

#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"

#define LINE_BYTES 64

struct gcov_info;
extern const struct gcov_info *const __gcov_info_start[], *const __gcov_info_end[];
void __gcov_info_to_gcda(const struct gcov_info *info,
			 void (*filename)(const char *name, void *arg),
			 void (*dump)(const void *data, unsigned n, void *arg),
			 void *(*allocate)(unsigned n, void *arg), void *arg);
/* How the counters of a file that is there already are added: never, each run has files of its own. */
void __gcov_merge_add(long *counters, unsigned n);
/* What libgcov calls; mmap() for a profile of values, which this build has not. */
void __noreturn abort(void);
void *mmap(void *addr, size_t len, int prot, int flags, int fd, long offset);

static struct {
	char text[2 * LINE_BYTES + 1];
	unsigned n; /* bytes in it */
} line;

void __gcov_merge_add(long *counters __unused, unsigned n __unused) {}

void abort(void)
{
	panic("coverage: libgcov gives up");
}

void *mmap(void *addr __unused, size_t len __unused, int prot __unused, int flags __unused,
	   int fd __unused, long offset __unused)
{
	return (void *)-1;
}

static void end_line(void)
{
	if (line.n)
		printk("# gcov data %s\n", line.text);
	line.n = 0;
}

static void begin_file(const char *name, void *unused __unused)
{
	end_line();
	printk("# gcov file %s\n", name);
}

static void put_bytes(const void *data, unsigned n, void *unused __unused)
{
	for (const u8 *byte = data; n; n--, byte++) {
		snprintf(line.text + 2 * line.n++, 3, "%02x", *byte);
		if (line.n == LINE_BYTES)
			end_line();
	}
}

static void *no_memory(unsigned n __unused, void *unused __unused)
{
	return NULL;
}

void coverage_report(void)
{
	unsigned long flags = local_irq_save();

	for (const struct gcov_info *const *i = __gcov_info_start; i < __gcov_info_end; i++)
		__gcov_info_to_gcda(*i, begin_file, put_bytes, no_memory, NULL);
	end_line();
	printk("# gcov end\n");
	local_irq_restore(flags);
}

/* The lines of checks that broke, and of what a panic reports. */
static void report_coverage(const struct panic_context *unused __unused)
{
	coverage_report();
}
PANIC_REPORT(95, report_coverage);

#endif
