/*
 * What happens when a rule is broken: BUG_ON in every build, ASSERT in debug builds, panic().
 *
 * A panic stops the other CPUs and prints everything that is needed to understand and to repeat it:
 * CPU, task, registers, a symbolised backtrace, what other files have registered (PANIC_REPORT:
 * the page walk of the faulting address, the locks held, the lazy state, the queue, ...), and the
 * command that replays the run.
 */
#pragma once

#include "kernel/lib/compiler.h"
#include "kernel/lib/types.h"

struct pt_regs;

/* What a panic is about. */
struct panic_context {
	const struct pt_regs *regs;
	unsigned long addr; /* the faulting address, or 0 */
	bool hang;	    /* nothing was found to be wrong, but somebody outside waits too long */
};

/*
 * A part of each panic's report. The parts register themselves, so that panic.c knows none of what
 * they tell; they are printed by ascending @order, of two digits:
 *   1x this task's address space   3x its locks   4x its lazy state and its CPU's queue
 *   50 the other CPUs stop, and report   6x tasks that are on no CPU   7x the trace
 *   8x counters   9x the replay
 * @fn is void (const struct panic_context *). It takes no lock, has interrupts off, and whatever it
 * finds it must not panic.
 */
#define PANIC_REPORT(order, fn)                                                                    \
	static void (*const panic_report_##fn)(const struct panic_context *)                       \
		__used __section(".panic_reports." #order) = fn

/*
 * Report why, with a backtrace of the caller and all that PANIC_REPORT has registered, and end the
 * machine. Any context.
 */
void panic(const char *fmt, ...) __printf(1, 2) __noreturn;
/* The same, for a trap at @regs; @addr is the faulting address, or 0. */
void panic_regs(const struct pt_regs *regs, unsigned long addr, const char *fmt, ...) __printf(3, 4)
	__noreturn;

/* No rule is broken, but nothing goes on: the same report, and what each task waits for. */
void panic_hang(const struct pt_regs *regs, const char *fmt, ...) __printf(2, 3) __noreturn;

#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(cond))                                                                \
			panic("%s:%d: %s: bug: %s", __FILE__, __LINE__, __func__, #cond);          \
	} while (0)

#ifdef CONFIG_DEBUG
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("%s:%d: %s: assertion failed: %s", __FILE__, __LINE__, __func__,     \
			      #cond);                                                              \
	} while (0)
#else
#define ASSERT(cond) ((void)sizeof(cond))
#endif
