/*
 * Fault loops, in debug builds: a fault is served, and comes again and again, because what was set
 * is not what the CPU sees.
 *
 * Many faults of one instruction prove nothing: it may be a loop that touches pages, or whose page
 * others take away. So whoever faults in user mode FAULT_LOOP times at one instruction, without a
 * system call in between, goes on with the trap flag set. A debug exception comes as soon as an
 * instruction has ended: then there is progress, and the program learns nothing of it. Faults
 * come instead, PROOF_FAULTS of them: no instruction ends, which is a panic. An access of the
 * kernel to user memory is in a loop if it faults FAULT_LOOP times within one system call, at one
 * address, with the same count left to copy.
 *
 * No locks: a task's state is its own.
 */
#pragma once

#include "kernel/arch/ptregs.h"
#include "kernel/lib/types.h"
#include "kernel/sched/fault_progress.h"

#ifdef CONFIG_DEBUG

/* The fault at @regs has been served. Panics if it is in a loop; @addr: for the report. */
void fault_check_progress(struct pt_regs *regs, unsigned long addr);
/*
 * True if the debug exception at @regs, from user mode, was only to prove progress. Interrupts on.
 */
bool fault_step_ended(struct pt_regs *regs);
/* A system call is progress. */
void fault_note_syscall(struct pt_regs *regs);

#else

static inline void fault_check_progress(struct pt_regs *regs __unused, unsigned long addr __unused)
{
}

static inline bool fault_step_ended(struct pt_regs *regs __unused)
{
	return false;
}

static inline void fault_note_syscall(struct pt_regs *regs __unused) {}

#endif
