/*
 * The table of system calls and its door. A handler returns a value or a negative error number.
 * What nobody defines is ENOSYS, named once. The calls themselves are in syscall_io.c,
 * syscall_mm.c, syscall_process.c and syscall_time.c.
 */
#include "kernel/process/syscall.h"

#include "kernel/debug/counters.h"
#include "kernel/debug/unsupported.h"
#include "kernel/entry/fault_loop.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"

/* A call that nothing defines is a weak reference to nothing. */
#define SYSCALL(nr, name) __typeof__(__x64_sys_##name) __x64_sys_##name __attribute__((weak));
#include "kernel/process/syscall_list.h"
#undef SYSCALL

static long (*const table[NR_SYSCALLS])(const struct pt_regs *) = {
#define SYSCALL(nr, name) [nr] = __x64_sys_##name,
#include "kernel/process/syscall_list.h"
#undef SYSCALL
};

static const char *const names[NR_SYSCALLS] = {
#define SYSCALL(nr, name) [nr] = #name,
#include "kernel/process/syscall_list.h"
#undef SYSCALL
};

const char *syscall_name(unsigned nr)
{
	return nr < NR_SYSCALLS && names[nr] ? names[nr] : "?";
}

static __noinline long unknown_syscall(unsigned nr)
{
	if (nr < NR_SYSCALLS && names[nr])
		return unsupported(ENOSYS, "system call %s is not implemented", names[nr]);
	return unsupported(ENOSYS, "there is no system call %u", min(nr, (unsigned)NR_SYSCALLS));
}

void syscall_dispatch(struct pt_regs *regs, unsigned long nr)
{
	assert_entered(regs, ENTERED_IRQS_ON);
	count(CNT_SYSCALLS);
	fault_note_syscall(regs);
	if (likely(nr < NR_SYSCALLS && table[nr]))
		regs->ax = table[nr](regs);
	else
		regs->ax = unknown_syscall(nr);
	prepare_user_mode(regs);
}
