/*
 * Kernel stacks: KSTACK_SIZE bytes in the KSTACK_AREA, with unmapped pages below, so that an
 * overflow is a double fault with a message and not a corruption.
 */
#pragma once

#include "kernel/types.h"

/* The lowest address of a stack, or 0: no memory, or MAX_KSTACKS in use. Task context. */
unsigned long kstack_alloc(void);
void kstack_free(unsigned long stack);
/* True if @addr lies in the guard below a stack. */
bool kstack_is_guard(unsigned long addr);
