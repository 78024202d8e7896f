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
 */
typedef u32 lazy_mmu_word_t;

/* What enter found, for the leave that matches it. Opaque: only lazy_mmu.c looks inside. */
typedef struct {
	u8 opaque;
} lazy_mmu_state_t;
