/*
 * The types of the lazy MMU mode; the functions are in mm/lazy/lazy_mmu.h.
 */
#pragma once

#include "kernel/lib/types.h"

/*
 * The mode of a task, in one word so that every change of it is one store and no preemption point
 * sees it half changed:
 *   bits  0-7   depth of the sections that are open
 *   bits  8-15  depth of pauses
 *   bits 16-23  depth of the sections opened inside a pause, which have no effect
 * Linux 7 has two counters for it, enable_count and pause_count in task_struct's lazy_mmu_state.
 */
typedef u32 lazy_mmu_word_t;

/*
 * What enter found, for the leave that matches it. Opaque: only lazy_mmu.c looks inside. Linux 7
 * hands nothing from the one to the other: the type is from a proposal of 2025, and nesting is
 * counted in struct lazy_mmu_state, in the task.
 */
typedef struct {
	u8 opaque;
} lazy_mmu_state_t;
