/*
 * Copies between the kernel and user memory. Every such access is one instruction with an entry in
 * the exception table; a fault that the page-fault handler cannot resolve goes on there. With SMAP
 * nothing else can touch user memory.
 */
#pragma once

#include "kernel/lib/layout.h"
#include "kernel/sched/task.h"

/* Linux's: no call transfers more at once, and what goes beyond is a short transfer. */
#define MAX_RW_COUNT (0x7fffffffUL & PAGE_MASK)

/* True if [@addr, @addr + @n) lies in the user half. */
bool access_ok(unsigned long addr, size_t n);
/* 0, or -EFAULT if any byte is out of reach; how much was copied by then is not told. */
int copy_from_user(void *dst, unsigned long src, size_t n);
/* The same the other way: to user address @dst. */
int copy_to_user(unsigned long dst, const void *src, size_t n);
/* The same with zeros. */
int clear_user(unsigned long dst, size_t n);
/* How many bytes were copied: @n, or as many as lie before the first that is out of reach. */
size_t copy_from_user_partial(void *dst, unsigned long src, size_t n);

/* Words in one access, as futexes need them. */
int put_user32(unsigned long dst, u32 v);
/* 0, or -EFAULT. */
int get_user32(unsigned long src, u32 *v);
/*
 * @new in the place of @old; -EAGAIN if there is something else, -EFAULT unless it can be written.
 */
int cmpxchg_user32(unsigned long dst, u32 old, u32 new);

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
