/*
 * Dispatch of exceptions and interrupts, and the exception table.
 * Source: AMD APM vol. 2, chapter 8.
 */
#include "kernel/entry/traps.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/stop.h"
#include "kernel/debug/trace.h"
#include "kernel/entry/fault_loop.h"
#include "kernel/process/process.h"
#include "kernel/sched/sched.h"
#include "mm/table/kstack.h"

#define GATE_INTERRUPT 0x8e
#define GATE_DPL3 0x60
#define OPCODES_STI_HLT 0xf4fb

struct idt_gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

extern u8 trap_stubs[256][16], step_stub[]; /* entry.asm */
static struct idt_gate idt[256] __aligned(16);
static timer_hook_fn timer_hook;
static void (*step_hook)(struct pt_regs *regs);

static const char *const trap_names[NR_TRAPS] = {
	[0] = "divide error",	     [1] = "debug",	     [2] = "NMI",
	[3] = "breakpoint",	     [4] = "overflow",	     [5] = "bound range",
	[6] = "invalid opcode",	     [7] = "no coprocessor", [8] = "double fault",
	[10] = "invalid TSS",	     [11] = "no segment",    [12] = "stack fault",
	[13] = "general protection", [14] = "page fault",    [16] = "x87 error",
	[17] = "alignment check",    [18] = "machine check", [19] = "SIMD error",
};

static void set_gate_to(u64 addr, unsigned vector, u8 ist, u8 type)
{
	idt[vector] = (struct idt_gate){
		.offset_low = addr,
		.selector = KERNEL_CS,
		.ist = ist,
		.type = type,
		.offset_mid = addr >> 16,
		.offset_high = addr >> 32,
	};
}

static void set_gate(unsigned vector, u8 ist, u8 type)
{
	set_gate_to((u64)trap_stubs[vector], vector, ist, type);
}

void idt_init(void)
{
	for (unsigned v = 0; v < ARRAY_SIZE(idt); v++)
		set_gate(v, 0, GATE_INTERRUPT);
	set_gate(TRAP_NMI, IST_NMI, GATE_INTERRUPT);
	set_gate(TRAP_DF, IST_DF, GATE_INTERRUPT);
	set_gate(TRAP_MC, IST_MC, GATE_INTERRUPT);
	set_gate(TRAP_DB, IST_DB, GATE_INTERRUPT);
	set_gate(TRAP_BP, 0, GATE_INTERRUPT | GATE_DPL3);
}

void idt_load(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed desc = {sizeof(idt) - 1, (u64)idt};

	__asm__ volatile("lidt %0" : : "m"(desc));
}

struct ex_entry {
	unsigned long insn, fixup;
};
extern const struct ex_entry __ex_table_start[], __ex_table_end[];

bool fixup_exception(struct pt_regs *regs)
{
	for (const struct ex_entry *e = __ex_table_start; e < __ex_table_end; e++) {
		if (e->insn == regs->ip) {
			regs->ip = e->fixup;
			return true;
		}
	}
	return false;
}

int trap_signal(unsigned vector)
{
	switch (vector) {
	case TRAP_DE:
	case TRAP_COPROC:
	case TRAP_MF:
	case TRAP_XM:
		return SIGFPE;
	case TRAP_DB:
	case TRAP_BP:
		return SIGTRAP;
	case TRAP_UD:
		return SIGILL;
	case TRAP_NP:
	case TRAP_SS:
	case TRAP_AC:
	case TRAP_MC:
		return SIGBUS;
	default:
		return SIGSEGV;
	}
}

/*
 * Who is stepped stops between sti and hlt (on QEMU from 10.0 on, not on 7.2), and would go on
 * without the shadow of sti: the interrupt that is to end the halt could come ahead of it. So the
 * halt is made up here, in one piece with an sti, and it is no boundary.
 */
static bool halt_in_steps(struct pt_regs *regs)
{
	if (*(const u16 *)(regs->ip - 1) != OPCODES_STI_HLT)
		return false;
	safe_halt();
	local_irq_disable();
	regs->ip++;
	return true;
}

/*
 * Of a test that steps; or of a user instruction, delayed into our entry, where nothing is lost. A
 * switch leaves TF on, so a task that slept in its steps has given it to the next one of its CPU.
 * When nobody steps any more it ends here: what returned to user mode with it would trap there.
 */
static void debug_in_kernel(struct pt_regs *regs)
{
	if (!step_hook)
		regs->flags &= ~FLAGS_TF;
	else if (!halt_in_steps(regs))
		step_hook(regs);
}

static const char *trap_name(unsigned vector)
{
	return trap_names[vector] ? trap_names[vector] : "reserved exception";
}

static void kill_by(struct pt_regs *regs, unsigned vector)
{
	kill_current_process(regs, trap_signal(vector), trap_name(vector), regs->ip);
}

static void do_exception(struct pt_regs *regs, unsigned vector)
{
	if (user_mode(regs)) {
		local_irq_enable();
		if (vector == TRAP_DB && fault_step_ended(regs))
			return;
		kill_by(regs, vector);
		return;
	}
	if (vector == TRAP_GP && fixup_exception(regs))
		return;
	if (vector == TRAP_DB) {
		debug_in_kernel(regs);
		return;
	}
	if (vector == TRAP_DF && kstack_is_guard(pv_read_cr2()))
		panic_regs(regs, pv_read_cr2(), "kernel stack overflow");
	panic_regs(regs, 0, "%s in the kernel, error code %#lx", trap_name(vector), regs->orig_ax);
}

static void do_nmi(struct pt_regs *regs)
{
	nmi_enter();
	stop_this_cpu_if_asked(regs);
	panic_hang(regs, "NMI: somebody outside wants to know what this CPU does");
}

static void nothing(void *unused __unused) {}

void set_timer_hook(timer_hook_fn hook)
{
	WRITE_ONCE(timer_hook, hook);
	/* A CPU that answers has left the interrupt in which it may have seen the former hook. */
	preempt_disable();
	smp_call_mask(&cpu_online_mask, nothing, NULL);
	preempt_enable();
}

void set_step_hook(void (*hook)(struct pt_regs *regs))
{
	step_hook = hook;
	if (hook)
		set_gate_to((u64)step_stub, TRAP_DB, 0, GATE_INTERRUPT);
	else
		set_gate(TRAP_DB, IST_DB, GATE_INTERRUPT);
}

static void call_timer_hook(const struct pt_regs *regs)
{
	timer_hook_fn hook = READ_ONCE(timer_hook);

	if (unlikely(hook != NULL))
		hook(regs);
}

void handle_vector(const struct pt_regs *regs, unsigned vector)
{
	irq_enter();
	trace(TRACE_INTERRUPT, 0, regs->ip, vector);
	switch (vector) {
	case VECTOR_TIMER:
		call_timer_hook(regs);
		sched_tick(user_mode(regs));
		break;
	case VECTOR_RESCHED:
		sched_ipi();
		break;
	case VECTOR_CALL:
		smp_call_interrupt();
		break;
	case VECTOR_KICK:
		break;
	default:
		pr_warn("interrupt %#x on CPU %u has no handler\n", vector, smp_processor_id());
	}
	pv_eoi();
	trace(TRACE_INTERRUPT_END, 0, 0, 0);
	irq_exit();
}

/*
 * A CPU may jump first, and raise the exception when it fetches from there (QEMU's TCG does); an
 * interrupt comes between the two. No iretq goes back to such an address, so it ends as the
 * exception would have.
 */
static void end_if_astray(struct pt_regs *regs)
{
	if (likely(is_canonical(regs->ip)))
		return;
	local_irq_enable();
	kill_by(regs, TRAP_GP);
}

void interrupt_return(const struct pt_regs *regs)
{
	if (!user_mode(regs) && (regs->flags & FLAGS_IF) && this_cpu_read(preempt_word) == 0)
		preempt_schedule_irq();
}

void interrupt_end(struct pt_regs *regs)
{
	if (user_mode(regs))
		end_if_astray(regs);
	else
		interrupt_return(regs);
}

static void do_interrupt(struct pt_regs *regs, unsigned vector)
{
	if (vector == VECTOR_SPURIOUS)
		return; /* not acknowledged: Intel SDM vol. 3, 11.9 */
	handle_vector(regs, vector);
	interrupt_end(regs);
}

void trap_dispatch(struct pt_regs *regs, unsigned vector)
{
	assert_entered(regs, ENTERED_IRQS_OFF);
	if (vector >= NR_TRAPS)
		do_interrupt(regs, vector);
	else if (vector == TRAP_PF)
		do_page_fault(regs, pv_read_cr2());
	else if (vector == TRAP_NMI)
		do_nmi(regs);
	else
		do_exception(regs, vector);
}

void run_exit_work(struct pt_regs *regs)
{
	do {
		local_irq_enable();
		if (need_resched())
			sched_yield();
		if (READ_ONCE(current->work))
			task_work_run(regs);
		local_irq_disable();
	} while (has_exit_work());
}

void exit_to_user_mode(struct pt_regs *regs)
{
	prepare_user_mode(regs);
}
