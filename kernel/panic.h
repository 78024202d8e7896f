/*
 * What happens when a rule is broken: BUG_ON in every build, ASSERT in debug builds, panic().
 *
 * A panic stops the other CPUs and prints everything that is needed to understand and to repeat it:
 * CPU, task, registers, a symbolised backtrace, the page walk of the faulting address, the locks
 * held, the lazy state, the queue, and the command that replays the run.
 */
#pragma once

#include "kernel/compiler.h"

struct pt_regs;

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
