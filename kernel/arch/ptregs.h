/*
 * The registers that an entry to the kernel saves, in the order in which entry.asm pushes them.
 * Linux's struct of the same name has the same order.
 */
#pragma once

#include "kernel/lib/types.h"

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx;
	unsigned long r11, r10, r9, r8, ax, cx, dx, si, di;
	unsigned long orig_ax; /* system call number, error code, or vector */
	unsigned long ip, cs, flags, sp, ss;
};

/* Bits 63 to 48 repeat bit 47; no other address can be jumped to (AMD APM vol. 2, 5.3.1). */
static inline bool is_canonical(unsigned long addr)
{
	return (unsigned long)((long)(addr << 16) >> 16) == addr;
}

static inline bool user_mode(const struct pt_regs *regs)
{
	return regs->cs & 3;
}
