/*
 * Panic: stop the other CPUs, say everything, leave with a verdict.
 *
 * The first CPU that panics wins `panic_cpu`; a second one, or a panic inside the panic, only
 * halts. Nothing here takes a lock: console_bust_lock() goes first.
 */
#include "kernel/debug/panic.h"

#include "kernel/arch/current.h"
#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/ptregs.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/shutdown.h"
#include "kernel/debug/stop.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/atomic.h"

static int panic_cpu = -1;
static cpumask_t stopped_mask;

#define STOP_SPINS 200000000UL

void stop_this_cpu_if_asked(const struct pt_regs *regs)
{
	unsigned cpu = smp_processor_id();

	if (READ_ONCE(panic_cpu) < 0)
		return;
	if (READ_ONCE(panic_cpu) != (int)cpu && !cpumask_test(&stopped_mask, cpu)) {
		char where[80];

		symbol_name(regs->ip, where, sizeof(where));
		printk("# cpu %u: stopped in task %s at %s%s\n", cpu, current_head()->name, where,
		       user_mode(regs) ? " (user mode)" : "");
		if (!user_mode(regs))
			backtrace_from(regs->ip, regs->bp);
		cpumask_set(&stopped_mask, cpu);
	}
	pv_stop_this_cpu();
}

static void stop_other_cpus(const struct panic_context *unused __unused)
{
	for_each_online_cpu(cpu) {
		if (cpu == smp_processor_id())
			continue;
		pv_send_nmi(cpu);
		/* One after the other, so that what they print does not mix. */
		for (u64 i = 0; i < STOP_SPINS / 100 && !cpumask_test(&stopped_mask, cpu); i++)
			cpu_relax();
		if (!cpumask_test(&stopped_mask, cpu))
			printk("# cpu %u: does not answer\n", cpu);
	}
}
PANIC_REPORT(50, stop_other_cpus);

static void print_regs(const struct pt_regs *r)
{
	char where[80];

	symbol_name(r->ip, where, sizeof(where));
	printk("# rip %04lx:%016lx %s\n", r->cs, r->ip, where);
	printk("# rsp %04lx:%016lx rflags %08lx error %lx\n", r->ss, r->sp, r->flags, r->orig_ax);
	printk("# rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->ax, r->bx, r->cx, r->dx);
	printk("# rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->si, r->di, r->bp, r->r8);
	printk("# r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
	printk("# r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

extern void (*const __panic_reports_start[])(const struct panic_context *);
extern void (*const __panic_reports_end[])(const struct panic_context *);

static void print_message(const char *kind, const char *fmt, va_list args)
{
	char msg[256];

	vsnprintf(msg, sizeof(msg), fmt, args);
	printk("\n# %s: %s\n", kind, msg);
	printk("# cpu %u task %d %s preempt %#x\n", smp_processor_id(), current_head()->tid,
	       current_head()->name, preempt_count());
}

static void __noreturn vpanic(const struct panic_context *c, const char *fmt, va_list args)
{
	int none = -1;

	local_irq_disable();
	if (!try_cmpxchg(&panic_cpu, &none, (int)smp_processor_id()))
		pv_stop_this_cpu();
	console_bust_lock();
	trace_stop();
	print_message(c->hang ? "hang" : "panic", fmt, args);
	print_regs(c->regs);
	if (!user_mode(c->regs))
		backtrace_from(c->regs->ip, c->regs->bp);
	for (unsigned i = 0; __panic_reports_start + i != __panic_reports_end; i++)
		__panic_reports_start[i](c);
	printk("# verdict %s\n", c->hang ? "hung" : "crashed");
	machine_shutdown(SHUTDOWN_CRASHED);
}

static void report_faults(const struct panic_context *unused __unused)
{
	counter_report(CNT_PAGE_FAULTS);
}
PANIC_REPORT(80, report_faults);

/* The registers of a panic that no trap caused: where it was called, and what they hold by now. */
#define CAPTURE_REGS(r)                                                                            \
	__asm__ volatile(                                                                          \
		"mov %%rax, %c[ax](%0); mov %%rbx, %c[bx](%0); mov %%rcx, %c[cx](%0);"             \
		"mov %%rdx, %c[dx](%0); mov %%rsi, %c[si](%0); mov %%rbp, %c[bp](%0);"             \
		"mov %%r8, %c[r8](%0); mov %%r9, %c[r9](%0); mov %%r10, %c[r10](%0);"              \
		"mov %%r11, %c[r11](%0); mov %%r12, %c[r12](%0);"                                  \
		"mov %%r13, %c[r13](%0); mov %%r14, %c[r14](%0); mov %%r15, %c[r15](%0);"          \
		"mov %%rsp, %c[sp](%0); pushfq; popq %c[flags](%0); mov %%cs, %c[cs](%0);"         \
		"mov %%ss, %c[ss](%0)"                                                             \
		:                                                                                  \
		: "D"(r), OFFSET(ax), OFFSET(bx), OFFSET(cx), OFFSET(dx), OFFSET(si), OFFSET(bp),  \
		  OFFSET(r8), OFFSET(r9), OFFSET(r10), OFFSET(r11), OFFSET(r12), OFFSET(r13),      \
		  OFFSET(r14), OFFSET(r15), OFFSET(sp), OFFSET(flags), OFFSET(cs), OFFSET(ss)      \
		: "memory")
#define OFFSET(reg) [reg] "i"(offsetof(struct pt_regs, reg))

void panic(const char *fmt, ...)
{
	struct pt_regs regs = {0};
	va_list args;

	CAPTURE_REGS(&regs);
	regs.cs &= ~3UL; /* a PV kernel runs in ring 3, but it is the kernel */
	regs.ip = (unsigned long)__builtin_return_address(0);
	regs.bp = *(unsigned long *)__builtin_frame_address(0);
	va_start(args, fmt);
	vpanic(&(struct panic_context){.regs = &regs}, fmt, args);
}

void panic_regs(const struct pt_regs *regs, unsigned long addr, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vpanic(&(struct panic_context){.regs = regs, .addr = addr}, fmt, args);
}

void panic_hang(const struct pt_regs *regs, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vpanic(&(struct panic_context){.regs = regs, .hang = true}, fmt, args);
}
