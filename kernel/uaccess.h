/*
 * Copies between the kernel and user memory. Every such access is one instruction with an entry in
 * the exception table; a fault that the page-fault handler cannot resolve goes on there. With SMAP
 * nothing else can touch user memory.
 */
#pragma once

#include "kernel/layout.h"
#include "kernel/task.h"

/* 0, or -EFAULT if any byte is out of reach; how much was copied by then is not told. */
int copy_from_user(void *dst, unsigned long src, size_t n);
int copy_to_user(unsigned long dst, const void *src, size_t n);
int clear_user(unsigned long dst, size_t n);

/* Words in one access, as futexes need them. */
int put_user32(unsigned long dst, u32 v);
int get_user32(unsigned long src, u32 *v);

/* Until enabled again a fault on user memory is not resolved but fails: for use under spinlocks. */
static inline void pagefault_disable(void)
{
	current->pagefault_disabled++;
	barrier();
}

static inline void pagefault_enable(void)
{
	barrier();
	current->pagefault_disabled--;
}
