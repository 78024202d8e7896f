/*
 * The trap side of page faults: decodes the fault, handles the kernel's own cases, and ends a program
 * whose access is not permitted. What becomes of an access to user memory mm_fault() decides.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/entry/fault_loop.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/layout.h"
#include "kernel/process/oom.h"
#include "kernel/process/process.h"
#include "mm/space/mm_fault.h"
#include "mm/table/kstack.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

/* What the fault was about, in mm's words; @error is the CPU's. */
static unsigned fault_access(unsigned long error)
{
	static_assert(PF_WRITE == FAULT_WRITE && PF_INSTR == FAULT_EXEC, "");
	return error & (FAULT_WRITE | FAULT_EXEC);
}

/*
 * A store to memory that became writable, by a CPU whose TLB still holds the former right: nothing
 * is flushed when rights of the direct map grow. The fault has dropped the stale translation.
 */
static bool is_spurious_kernel_fault(const struct pt_regs *regs, unsigned long addr)
{
	const unsigned long write_refused = PF_PROT | PF_WRITE;
	pmd_t *pmd;

	if (regs->orig_ax != write_refused || addr < DIRECT_MAP ||
	    addr - DIRECT_MAP >= max_pfn << PAGE_SHIFT)
		return false;
	pmd = pmd_find(&init_mm, addr);
	return pmd && !pmd_none(*pmd) && !pmd_large(*pmd) &&
	       pte_write(*(volatile pte_t *)pte_offset(*pmd, addr));
}

static void __noreturn kernel_fault(struct pt_regs *regs, unsigned long addr)
{
	panic_regs(regs, addr, "%s at %#lx in the kernel, error code %#lx%s",
		   regs->orig_ax & PF_INSTR   ? "jump"
		   : regs->orig_ax & PF_WRITE ? "write"
					      : "read",
		   addr, regs->orig_ax, kstack_is_guard(addr) ? " (kernel stack overflow)" : "");
}

/* A kernel access to user memory that cannot be resolved: its copy fails, if it is one. */
static void fail_user_copy(struct pt_regs *regs, unsigned long addr)
{
	if (!fixup_exception(regs))
		kernel_fault(regs, addr);
}

/* One that forgot to open user memory would fault for ever. */
static bool is_user_copy(const struct pt_regs *regs)
{
	struct pt_regs copy = *regs;

	return !smap_keeps_out(regs) && fixup_exception(&copy);
}

/* A fault that is nobody's access to user memory: it is a bug, a crime, or a TLB that is behind. */
static void fault_elsewhere(struct pt_regs *regs, unsigned long addr)
{
	if (!user_mode(regs) && is_spurious_kernel_fault(regs, addr)) {
		count(CNT_SPURIOUS_FAULTS);
		return;
	}
	if (!user_mode(regs) || (regs->orig_ax & PF_RSVD))
		kernel_fault(regs, addr);
	local_irq_enable();
	kill_current_process(regs, SIGSEGV, "access to the kernel's half", addr);
}

/*
 * A fault of user memory by a supervisor access: true if it is refused. From user mode the CPU
 * makes one on its own account, as QEMU does for the frame of an iretq; SMAP keeps it out whatever
 * the entry says, so that nothing could be served. In the kernel it must be a user copy.
 */
static bool refuse_supervisor(struct pt_regs *regs, unsigned long addr)
{
	if (user_mode(regs)) {
		if (!smap_keeps_out(regs))
			return false;
		local_irq_enable();
		kill_current_process(regs, SIGSEGV, "supervisor access from user mode", addr);
		return true;
	}
	if (!is_user_copy(regs))
		kernel_fault(regs, addr);
	if (current->mm && !current->pagefault_disabled && !preempt_count())
		return false;
	fail_user_copy(regs, addr);
	return true;
}

void do_page_fault(struct pt_regs *regs, unsigned long addr)
{
	unsigned long error = regs->orig_ax;
	struct mm *mm = current->mm;
	enum fault_result result;

	if (addr <= USER_END && pv_fix_fault(regs, addr)) {
		fault_check_progress(regs, addr);
		return;
	}
	if (unlikely(addr > USER_END || (error & (PF_RSVD | PF_USER)) != PF_USER)) {
		if (addr > USER_END || (error & PF_RSVD)) {
			fault_elsewhere(regs, addr);
			return;
		}
		if (refuse_supervisor(regs, addr))
			return;
	}
	ASSERT(!current->lazy_mmu);
	trace(TRACE_FAULT, mm_context(mm), addr, error);
	if (likely(regs->flags & FLAGS_IF))
		local_irq_enable();
	result = mm_fault(mm, addr, fault_access(error));
	trace(TRACE_FAULT_END, mm_context(mm), addr, result);
	if (likely(result == FAULT_OK)) {
		count(CNT_PAGE_FAULTS);
		fault_check_progress(regs, addr);
		return;
	}
	/* Then there is memory, or the process ends before it comes back to user mode. */
	if (result == FAULT_OOM && (out_of_memory() || user_mode(regs)))
		return;
	count(CNT_REFUSED_FAULTS);
	if (!user_mode(regs))
		fail_user_copy(regs, addr);
	else if (result == FAULT_BUS)
		kill_current_process(regs, SIGBUS, "access beyond the end of a shared object",
				     addr);
	else
		kill_current_process(regs, SIGSEGV, "access without a mapping or right", addr);
}
