/*
 * Single-stepping a piece of the kernel: between the two calls the hook of
 * set_step_hook() runs after each instruction of this CPU. It also runs ahead of the instruction of
 * a breakpoint, and there again unless it sets FLAGS_RF. Xen emulates the writes to debug
 * registers. Source: AMD APM vol. 2, 13.1.
 */
#pragma once

#include "kernel/arch/irqflags.h"
#include "kernel/cpu/cpu.h"

#define FLAGS_RF BIT(16)
#define DR7_EXECUTE_0 (DR7_NONE | 1UL)

/* On this CPU; one at a time. */
static __always_inline void break_at(unsigned long ip)
{
	__asm__ volatile("mov %0, %%dr0" : : "r"(ip) : "memory");
	__asm__ volatile("mov %0, %%dr7" : : "r"(DR7_EXECUTE_0) : "memory");
}

static __always_inline void break_nowhere(void)
{
	__asm__ volatile("mov %0, %%dr7" : : "r"((unsigned long)DR7_NONE) : "memory");
}

static __always_inline void step_begin(void)
{
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(FLAGS_TF) : "memory", "cc");
}

static __always_inline void step_end(void)
{
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~FLAGS_TF) : "memory", "cc");
}
