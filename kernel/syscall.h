/* System calls: Linux's x86-64 numbers, arguments and errors. */
#pragma once

#include "kernel/ptregs.h"

/*
 * By entry.asm; interrupts are on. The result goes to regs->ax. On return all is done that comes
 * before user mode, and interrupts are off.
 */
void syscall_dispatch(struct pt_regs *regs, unsigned long nr);

/* The frames that a program may map through descriptor FRAMES_FD: Pteron's only device. */
#define FRAMES_FD 3
#define FRAMES_COUNT 512
void frames_device_init(void);
/* True if page @pfn belongs to the device. */
bool frames_device_owns(u64 pfn);

/* Entries of the table that are in files of their own: syscall_time.c. */
long sys_futex(struct pt_regs *r);
long sys_clock_gettime(struct pt_regs *r);
long sys_clock_getres(struct pt_regs *r);
long sys_nanosleep(struct pt_regs *r);
long sys_clock_nanosleep(struct pt_regs *r);
