/*
 * The selectors that a program may have loaded into its data segment registers. 64-bit code has no
 * use for them, but they are part of its state: the kernel leaves them alone, and a task switch
 * carries them with the task (struct task). No locks; interrupts off around a load.
 *
 * All that ring 3 can load is in the one GDT that all CPUs have, so it can be loaded again
 * anywhere.
 */
#pragma once

#include "kernel/lib/types.h"

union selectors {
	struct {
		u16 ds, es, fs, gs;
	};
	u64 all;
};

/* Selectors up to this one are null, whatever their privilege level. */
#define SELECTOR_NULL_MAX 3

static inline union selectors read_selectors(void)
{
	union selectors s;

	__asm__ volatile("mov %%ds, %0" : "=m"(s.ds));
	__asm__ volatile("mov %%es, %0" : "=m"(s.es));
	__asm__ volatile("mov %%fs, %0" : "=m"(s.fs));
	__asm__ volatile("mov %%gs, %0" : "=m"(s.gs));
	return s;
}

/* GS is the backend's: its base is the kernel's own. */
static inline void load_ds_es_fs(const union selectors *s)
{
	__asm__ volatile("mov %0, %%ds" : : "m"(s->ds) : "memory");
	__asm__ volatile("mov %0, %%es" : : "m"(s->es) : "memory");
	__asm__ volatile("mov %0, %%fs" : : "m"(s->fs) : "memory");
}
