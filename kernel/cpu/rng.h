/*
 * All randomness of the kernel: streams derived from the one printed seed. A stream belongs to one
 * user (a CPU's scheduler, a test) and is not locked.
 */
#pragma once

#include "kernel/arch/percpu.h"
#include "kernel/lib/xorshift.h"

DECLARE_PER_CPU(struct rng, cpu_rng);
extern u64 boot_seed;

/* The scheduler's stream of this CPU; interrupts or preemption are off. */
static inline struct rng *this_cpu_rng(void)
{
	return this_cpu_ptr(cpu_rng);
}
