/*
 * Single-stepping a piece of the kernel: between the two calls the hook of
 * set_step_hook() runs after each instruction of this CPU.
 */
#pragma once

#include "kernel/irqflags.h"

static __always_inline void step_begin(void)
{
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(FLAGS_TF) : "memory", "cc");
}

static __always_inline void step_end(void)
{
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~FLAGS_TF) : "memory", "cc");
}
