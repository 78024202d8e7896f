/*
 * The assertions of the doors; see doors.h. No locks: registers of this CPU.
 */
#include "kernel/entry/doors.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/layout.h"
#include "kernel/sched/task.h"

#ifdef CONFIG_DEBUG

static void assert_own_gs_base(void)
{
	preempt_disable();
	ASSERT(this_cpu_read(this_cpu_offset) == percpu_offset[smp_processor_id()]);
	preempt_enable();
}

void assert_entered(const struct pt_regs *regs, enum entered_with irqs)
{
	assert_kernel_flags();
	ASSERT(!(cpu_read_flags() & FLAGS_TF));
	ASSERT(irqs_disabled() == (irqs == ENTERED_IRQS_OFF));
	assert_own_gs_base();
	ASSERT(!user_mode(regs) || regs == task_user_regs(current));
}

void assert_leaving(const struct pt_regs *regs)
{
	assert_kernel_flags();
	ASSERT(irqs_disabled());
	ASSERT(regs == task_user_regs(current));
	ASSERT((regs->cs & 3) == 3 && (regs->ss & 3) == 3);
	ASSERT((regs->flags & FLAGS_IF) && !(regs->flags & (FLAGS_IOPL | FLAGS_VM)));
	ASSERT(is_canonical(regs->ip)); /* to the kernel's half it may jump, and faults there */
}

#endif
