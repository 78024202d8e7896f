/*
 * Fault loops; see fault_loop.h.
 *
 * The trap flag shows to one kind of instruction, which needs care: PUSHF writes it to memory.
 * POPF and IRET replace it, and what they have loaded is the program's. SYSCALL saves it, and no
 * exception comes before the handler runs: fault_note_syscall() takes it out again.
 * Source: Intel SDM vol. 3, 17.3.1.4 (Single-Step Exception Condition).
 */
#include "kernel/entry/fault_loop.h"

#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/task.h"

#ifdef CONFIG_DEBUG

#define FAULT_LOOP 10000
/* An instruction touches a few pages at most, and a thread that drops them is not that fast. */
#define PROOF_FAULTS 1000
#define MAX_PREFIXES 14
enum { OPCODE_PUSHF = 0x9c, OPCODE_POPF = 0x9d, OPCODE_IRET = 0xcf, OPCODE_UNKNOWN = 0x100 };

static bool is_prefix(u8 byte)
{
	switch (byte) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64 ... 0x67:
	case 0x40 ... 0x4f: /* REX */
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

static unsigned opcode_at(unsigned long ip)
{
	for (unsigned i = 0; i < MAX_PREFIXES; i++) {
		u8 byte;

		if (copy_from_user(&byte, ip + i, 1))
			return OPCODE_UNKNOWN;
		if (!is_prefix(byte))
			return byte;
	}
	return OPCODE_UNKNOWN;
}

/* PUSHF has written flags with our TF in them, of two bytes or eight. */
static void clear_pushed_flag(unsigned long sp)
{
	u8 second;

	if (copy_from_user(&second, sp + 1, 1))
		return;
	second &= ~(FLAGS_TF >> 8);
	(void)copy_to_user(sp + 1, &second, 1);
}

static void forget_progress(struct fault_progress *p)
{
	*p = (struct fault_progress){0};
}

bool fault_step_ended(struct pt_regs *regs)
{
	struct fault_progress *p = &current->fault_progress, was = *p;
	unsigned opcode;

	if (!was.stepping)
		return false;
	opcode = opcode_at(was.ip); /* may fault, which is the next one to be noted in *p */
	if (opcode == OPCODE_PUSHF)
		clear_pushed_flag(regs->sp);
	if (opcode != OPCODE_POPF && opcode != OPCODE_IRET)
		regs->flags &= ~FLAGS_TF;
	forget_progress(p);
	return true;
}

void fault_note_syscall(struct pt_regs *regs)
{
	struct fault_progress *p = &current->fault_progress;

	if (unlikely(p->stepping))
		regs->flags &= ~FLAGS_TF;
	forget_progress(p);
}

/* The same instruction as at the last fault; in the kernel, the same access. */
static bool is_repeated(const struct fault_progress *p, const struct pt_regs *regs,
			unsigned long addr)
{
	return p->ip == regs->ip && (user_mode(regs) || (p->addr == addr && p->left == regs->cx));
}

/* Whoever set the flag itself is ended by the first instruction that ends. */
static void begin_step(struct fault_progress *p, struct pt_regs *regs)
{
	if (regs->flags & FLAGS_TF)
		return;
	regs->flags |= FLAGS_TF;
	p->stepping = true;
}

/* Another instruction faults, and no debug exception came: it will not be asked for any more. */
static void end_step(struct fault_progress *p, struct pt_regs *regs)
{
	if (p->stepping && user_mode(regs))
		regs->flags &= ~FLAGS_TF;
}

void fault_check_progress(struct pt_regs *regs, unsigned long addr)
{
	struct fault_progress *p = &current->fault_progress;

	if (!is_repeated(p, regs, addr)) {
		end_step(p, regs);
		*p = (struct fault_progress){.ip = regs->ip, .addr = addr, .left = regs->cx};
		return;
	}
	p->addr = addr;
	p->faults++;
	if (p->faults == FAULT_LOOP && user_mode(regs))
		begin_step(p, regs);
	else if (p->faults >= FAULT_LOOP + (user_mode(regs) ? PROOF_FAULTS : 0))
		panic_regs(regs, addr,
			   "fault loop: %u faults were served, the last at %#lx, and %s", p->faults,
			   addr,
			   user_mode(regs) ? "no instruction ended" : "the copy did not go on");
}

#endif
