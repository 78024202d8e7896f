/*
 * System calls: Linux's x86-64 numbers, arguments and errors.
 *
 * A handler is declared with the types that its arguments have on Linux, by SYSCALL_DEFINEn of its
 * name, as there. The macro makes the entry of the table, which gives each argument its type:
 * what lies above the 32 bits of an `int` never reaches the handler. There is no other way into the
 * table, and a definition is all that a call needs. Addresses in user memory are unsigned long.
 */
#pragma once

#include "kernel/arch/ptregs.h"

/*
 * By entry.asm; interrupts are on. The result goes to regs->ax. On return all is done that comes
 * before user mode, and interrupts are off. As on Linux, of the number 32 bits count: the others of
 * @nr are 0.
 */
void syscall_dispatch(struct pt_regs *regs, unsigned long nr);

/* The name of call @nr, or "?". */
const char *syscall_name(unsigned nr);

enum {
#define SYSCALL(nr, name) NR_##name = nr,
#include "kernel/process/syscall_list.h"
#undef SYSCALL
	NR_SYSCALLS
};

#define SYSCALL(nr, name) long __x64_sys_##name(const struct pt_regs *regs);
#include "kernel/process/syscall_list.h"
#undef SYSCALL

/* The registers of the arguments (psABI A.2.1), each with the type of its argument. */
#define SYSCALL_DEFINE0(name)                                                                      \
	static long sys_##name(void);                                                              \
	long __x64_sys_##name(const struct pt_regs *r __unused)                                    \
	{                                                                                          \
		return sys_##name();                                                               \
	}                                                                                          \
	static long sys_##name(void)

#define SYSCALL_DEFINE(name, params, args)                                                         \
	static long sys_##name params;                                                             \
	long __x64_sys_##name(const struct pt_regs *r)                                             \
	{                                                                                          \
		return sys_##name args;                                                            \
	}                                                                                          \
	static long sys_##name params

#define SYSCALL_DEFINE1(name, t1, a1) SYSCALL_DEFINE(name, (t1 a1), ((t1)r->di))
#define SYSCALL_DEFINE2(name, t1, a1, t2, a2)                                                      \
	SYSCALL_DEFINE(name, (t1 a1, t2 a2), ((t1)r->di, (t2)r->si))
#define SYSCALL_DEFINE3(name, t1, a1, t2, a2, t3, a3)                                              \
	SYSCALL_DEFINE(name, (t1 a1, t2 a2, t3 a3), ((t1)r->di, (t2)r->si, (t3)r->dx))
#define SYSCALL_DEFINE4(name, t1, a1, t2, a2, t3, a3, t4, a4)                                      \
	SYSCALL_DEFINE(name, (t1 a1, t2 a2, t3 a3, t4 a4),                                         \
		       ((t1)r->di, (t2)r->si, (t3)r->dx, (t4)r->r10))
#define SYSCALL_DEFINE5(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5)                              \
	SYSCALL_DEFINE(name, (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5),                                  \
		       ((t1)r->di, (t2)r->si, (t3)r->dx, (t4)r->r10, (t5)r->r8))
#define SYSCALL_DEFINE6(name, t1, a1, t2, a2, t3, a3, t4, a4, t5, a5, t6, a6)                      \
	SYSCALL_DEFINE(name, (t1 a1, t2 a2, t3 a3, t4 a4, t5 a5, t6 a6),                           \
		       ((t1)r->di, (t2)r->si, (t3)r->dx, (t4)r->r10, (t5)r->r8, (t6)r->r9))
