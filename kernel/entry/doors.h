/*
 * The doors: the ways from user mode into the kernel, and the way out.
 *
 * Whatever a program has in DF, AC, NT, TF, IOPL and RF, in its segment registers, in GS base and
 * in the FPU stays at the door. The flags are cleared by the entry (kernel/entry/entry.asm,
 * pv/xen/entry.asm), GS base is swapped, the FPU and the other segments are not used by the kernel;
 * all of it is the program's again when it goes on. Each door has one assertion, and so has the way
 * out; a task switch asserts that no window to user memory (SMAP) is open. Debug builds only.
 */
#pragma once

#include "kernel/lib/types.h"

struct pt_regs;

/* How an entry leaves interrupts. */
enum entered_with {
	ENTERED_IRQS_OFF,
	ENTERED_IRQS_ON,
};

#ifdef CONFIG_DEBUG
/* First in C, behind every entry. */
void assert_entered(const struct pt_regs *regs, enum entered_with irqs);
/* Last in C before user mode, whose registers @regs are. */
void assert_leaving(const struct pt_regs *regs);
#else
static inline void assert_entered(const struct pt_regs *regs __unused,
				  enum entered_with irqs __unused)
{
}
static inline void assert_leaving(const struct pt_regs *regs __unused) {}
#endif
