/*
 * Suite `astray`: an interrupt finds user mode at an address to which nothing can go back.
 *
 * A CPU that jumps first, and raises the exception when it fetches, may be interrupted between the
 * two. A program that spins stands for it: the interrupt's hook puts its instruction pointer there.
 * Oracle: the program ends by the signal of the exception, or goes on and meets it by itself; the
 * kernel goes on.
 */
#include "kernel/arch/ptregs.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/layout.h"
#include "kernel/process/process.h"
#include "kernel/process/signal.h"
#include "kernel/sched/task.h"
#include "pv/pv_ops.h"
#include "tests/ktest.h"
#include "tests/unit/lib/met.h"

#define CODE 0x40000000UL

/* jmp . */
static const u8 spinning[] = {0xeb, 0xfe};

static struct {
	int pid;
	unsigned long ip; /* where the program goes; 0: it has gone */
} astray;

static void spin_in_user_mode(void *unused __unused)
{
	met_map_code(CODE, CODE, spinning, sizeof(spinning));
	*task_user_regs(current) =
		(struct pt_regs){.ip = CODE, .cs = USER_CS, .ss = USER_DS, .flags = FLAGS_IF};
	pv_enter_user(task_user_regs(current));
}

static void lead_astray(const struct pt_regs *regs)
{
	if (user_mode(regs) && current->tid == astray.pid && astray.ip) {
		task_user_regs(current)->ip = astray.ip;
		astray.ip = 0;
	}
}

static void look_for_it(struct task *t, void *found)
{
	*(bool *)found |= t->tid == astray.pid;
}

/* A process has ended before its last task has given everything back, and has gone. */
static void await_its_task(void)
{
	bool found;

	do {
		found = false;
		sched_yield();
	} while (for_each_task(look_for_it, &found) || found);
}

static void expect_end(struct ktest *t, unsigned long ip)
{
	struct task *task;

	task = met_new(spin_in_user_mode);
	astray.pid = met.pid;
	astray.ip = ip;
	set_timer_hook(lead_astray);
	wake_up_new_task(task);
	KEXPECT_EQ(t, process_wait(astray.pid), SIGSEGV);
	set_timer_hook(NULL);
	KEXPECT_EQ(t, astray.ip, 0);
	await_its_task();
}

static void no_address_at_all(struct ktest *t)
{
	expect_end(t, 0x8000000000000000UL);
	expect_end(t, 0x0000800000000000UL);
	expect_end(t, 0xffff7fffffffffffUL);
}

static void the_kernels_half(struct ktest *t)
{
	expect_end(t, KERNEL_BASE);
	expect_end(t, 0xffff800000000000UL);
	expect_end(t, ~0UL);
}

static void the_last_of_its_own(struct ktest *t)
{
	expect_end(t, USER_END);
	expect_end(t, 0x00007fffffffffffUL);
}

static const struct ktest_case cases[] = {
	{"no_address_at_all", no_address_at_all},
	{"the_kernels_half", the_kernels_half},
	{"the_last_of_its_own", the_last_of_its_own},
};
KTEST_SUITE(astray_suite, "astray", "interrupts of user mode that cannot go on", true, cases);
