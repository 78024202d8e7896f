/*
 * Exceptions and interrupts.
 */
#pragma once

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/doors.h"
#include "kernel/sched/task.h"

enum trap {
	TRAP_DE = 0,
	TRAP_DB = 1,
	TRAP_NMI = 2,
	TRAP_BP = 3,
	TRAP_UD = 6,
	TRAP_DF = 8,
	TRAP_COPROC = 9,
	TRAP_NP = 11,
	TRAP_SS = 12,
	TRAP_GP = 13,
	TRAP_PF = 14,
	TRAP_MF = 16,
	TRAP_AC = 17,
	TRAP_MC = 18,
	TRAP_XM = 19,
	NR_TRAPS = 32,
};

/* Error code of a page fault. */
#define PF_PROT BIT(0) /* the entry was present; else it was missing */
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RSVD BIT(3)
#define PF_INSTR BIT(4)

/*
 * The page fault at @regs was a supervisor access, which SMAP keeps out of user memory whatever the
 * entries say. AC opens it to the kernel, but not to what the CPU does on its own account for user
 * mode (Intel SDM vol. 3, 4.6.1: implicit accesses).
 */
static inline bool smap_keeps_out(const struct pt_regs *regs)
{
	return cpu_features.smap && !(regs->orig_ax & PF_USER) &&
	       (user_mode(regs) || !(regs->flags & FLAGS_AC));
}

/* The signal that ends a program which raises exception @vector, as on Linux. */
int trap_signal(unsigned vector);

/* Called by the entries; @vector as above, or an interrupt's. */
void trap_dispatch(struct pt_regs *regs, unsigned vector);

/* True if the task may not go on in user mode before something is done. */
static inline bool has_exit_work(void)
{
	return need_resched() || READ_ONCE(current->work);
}

/* Called, and returns, with interrupts off. */
void run_exit_work(struct pt_regs *regs);

/*
 * The way to user mode: runs pending work, returns with interrupts off. Each system call ends so.
 */
static inline void prepare_user_mode(struct pt_regs *regs)
{
	local_irq_disable();
	if (unlikely(has_exit_work()))
		run_exit_work(regs);
	ASSERT(preempt_count() == 0 && !current->lazy_mmu);
	assert_leaving(regs);
}
/* The same, for the entries in assembly. */
void exit_to_user_mode(struct pt_regs *regs);

/* One interrupt, with interrupts off; then, after the last, perhaps another task. */
void handle_vector(const struct pt_regs *regs, unsigned vector);
/*
 * At the end of an interrupt that came at @regs, with interrupts off: in the kernel another task
 * may run first, if preemption and interrupts were on there.
 */
void interrupt_return(const struct pt_regs *regs);
/*
 * The same of an interrupt that may have come in user mode, too: a program that can go on nowhere
 * is ended, and interrupts are on then.
 */
void interrupt_end(struct pt_regs *regs);
/*
 * A page fault at @addr, with its error code in regs->orig_ax; interrupts are off, and may be on
 * when it returns. Resolves it, lets a copy from or to user memory fail, ends the process, or
 * panics.
 */
void do_page_fault(struct pt_regs *regs, unsigned long addr);

/* Boot CPU, once: fill the table that all CPUs share. */
void idt_init(void);
/* On each CPU: use that table. */
void idt_load(void);

/* If the instruction at @regs->ip may fault, go on at its fixup and return true. */
bool fixup_exception(struct pt_regs *regs);

/*
 * In tests: @hook is called after each instruction of the kernel that runs with the flag TF set. It
 * runs with interrupts off on the stack of the task, and may switch to another; NULL for none. No
 * user mode may run meanwhile: a debug exception would find it with a stack of its own.
 */
void set_step_hook(void (*hook)(struct pt_regs *regs));

typedef void (*timer_hook_fn)(const struct pt_regs *regs);
/*
 * In tests: @hook is called in every timer interrupt, with interrupts off, and told where that came;
 * NULL for none. On return no CPU is in the former hook any more. Interrupts on.
 */
void set_timer_hook(timer_hook_fn hook);
