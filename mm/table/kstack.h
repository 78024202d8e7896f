/*
 * Kernel stacks: KSTACK_SIZE bytes in the KSTACK_AREA, with unmapped pages below, so that an
 * overflow is a double fault with a message and not a corruption.
 */
#pragma once

#include "kernel/lib/types.h"

#define MAX_KSTACKS 4096

/* The lowest address of a stack, or 0: no memory, or MAX_KSTACKS in use. Task context. */
unsigned long kstack_alloc(void);
/*
 * @stack is what kstack_alloc() gave; nobody runs on it any more. It stays mapped for the next one.
 */
void kstack_free(unsigned long stack);
/*
 * If many stacks are free, give the pages of some back. Nothing is held, interrupts are on, and the
 * task is in no lazy section.
 */
void kstack_trim(void);
/* The same, of all free stacks: memory is short. */
void kstack_give_back(void);
/* True if @addr lies in the guard below a stack. */
bool kstack_is_guard(unsigned long addr);
