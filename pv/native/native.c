/*
 * The native backend: the CPU walks the guest's own tables and executes its privileged
 * instructions.
 *
 * These bodies are the static initialiser of the pv table. Those that are one or two instructions
 * are put inline at every call site by boot/patch.c, which has their bytes; they are called only
 * before patching. Stores to page tables take effect at once, so a lazy section batches TLB
 * invalidations.
 */
#include "pv/native/native.h"

#include "drivers/debug_exit.h"
#include "drivers/lapic.h"
#include "kernel/arch/io.h"
#include "kernel/arch/preempt.h"
#include "kernel/arch/segments.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/task.h"
#include "kernel/time/clock.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/tlb.h"
#include "mm/types/addr.h"

#define CR0_WP BIT(16)
#define CR3_NOFLUSH BIT(63)

void task_enter_user(struct pt_regs *regs); /* entry.asm */

__callee_save unsigned long native_save_fl(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

__callee_save void native_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

__callee_save void native_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

void native_safe_halt(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

__callee_save void native_stac(void)
{
	__asm__ volatile("stac" ::: "memory");
}

__callee_save void native_clac(void)
{
	__asm__ volatile("clac" ::: "memory");
}

__callee_save void native_lfence(void)
{
	__asm__ volatile("lfence" ::: "memory");
}

__callee_save void native_clac_lfence(void)
{
	__asm__ volatile("clac; lfence" ::: "memory");
}

__callee_save void native_nop(void) {}

static void native_load_sp0(unsigned long sp)
{
	cpu_set_sp0(sp);
}

static void native_save_user_segments(struct task *t)
{
	t->selectors = read_selectors();
	if (cpu_features.fsgsbase) {
		__asm__ volatile("rdfsbase %0" : "=r"(t->fs_base));
		/* While in the kernel, the user's GS base is the one that swapgs holds. */
		__asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(t->gs_base));
	} else {
		t->fs_base = rdmsr(MSR_FS_BASE);
		t->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
	}
}

/* A selector that is loaded brings a base of its own; GS may bring it for the user's alone. */
static __noinline void load_selectors(const union selectors *s)
{
	load_ds_es_fs(s);
	__asm__ volatile("swapgs; mov %0, %%gs; swapgs" : : "r"((u32)s->gs) : "memory");
}

static void native_load_user_segments(const struct task *t)
{
	if (unlikely(read_selectors().all != t->selectors.all))
		load_selectors(&t->selectors);
	if (cpu_features.fsgsbase) {
		__asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
		__asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(t->gs_base));
	} else {
		wrmsr(MSR_FS_BASE, t->fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, t->gs_base);
	}
}

__callee_save unsigned long native_read_cr2(void)
{
	unsigned long cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	return cr2;
}

__callee_save u64 native_identity(u64 frame)
{
	return frame;
}

void native_set_pte(pte_t *ptep, pte_t pte)
{
	WRITE_ONCE(ptep->v, pte.v);
}

void native_install_pte(pte_t *ptep, pte_t pte, unsigned long addr __unused)
{
	WRITE_ONCE(ptep->v, pte.v);
}

pte_t native_ptep_get_and_clear(pte_t *ptep)
{
	return (pte_t){xchg(&ptep->v, 0)};
}

void native_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		old[i].v = xchg(&ptep[i].v, 0);
}

void native_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		u64 found = READ_ONCE(ptep[i].v);

		while (unlikely(!try_cmpxchg(&ptep[i].v, &found, new[i].v | (found & _PAGE_AD))))
			;
	}
}

void native_set_tables(const struct table_change *change, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		WRITE_ONCE(*(u64 *)change[i].entry, change[i].val);
}

bool native_fix_fault(const struct pt_regs *regs __unused, unsigned long addr __unused)
{
	return false;
}

static unsigned native_audit(void)
{
	return 0;
}

static void native_take_over(void) {}

static int native_alloc_table(struct mm *mm __unused, u64 p __unused, unsigned level __unused)
{
	return 0;
}

static void native_unmake_table(u64 p __unused) {}

static void native_issue(struct batch *b)
{
	if (b->n)
		panic("native: %u queued updates, where every update is a store", b->n);
	batch_pay_flush(b);
}

static void native_flush_tlb_local(void)
{
	write_cr3(read_cr3()); /* without CR3_NOFLUSH: drops this PCID's non-global entries */
}

static void native_flush_tlb_one(unsigned long addr)
{
	__asm__ volatile("invlpg (%0)" : : "r"(addr) : "memory");
}

void native_load_pgd(struct mm *mm __unused, u64 pgd_pfn, unsigned asid, bool flush)
{
	u64 cr3 = pgd_pfn << PAGE_SHIFT;

	if (cpu_features.pcid)
		cr3 |= asid | (flush ? 0 : CR3_NOFLUSH);
	write_cr3(cr3);
}

/*
 * Halt until the unlocker's kick or any other interrupt. With interrupts off a halt would not end,
 * so then only spin; such locks are short.
 */
static void native_lock_wait(const u16 *head, u16 ticket)
{
	if (!(native_save_fl() & BIT(9))) {
		cpu_relax();
		return;
	}
	native_irq_disable();
	/* Not if another task is wanted here: it may be the lock's holder. */
	if (READ_ONCE(*head) != ticket && !need_resched())
		native_safe_halt();
	else
		native_irq_enable();
}

static void native_lock_kick(unsigned cpu)
{
	lapic_send_ipi(cpu, VECTOR_KICK);
}

/* The kernel's text is read-only: without CR0.WP the kernel may write it all the same. */
static void native_text_writable(bool on)
{
	u64 cr0 = read_cr0();

	write_cr0(on ? cr0 & ~CR0_WP : cr0 | CR0_WP);
}

static bool native_cpu_is_preempted(unsigned cpu __unused)
{
	return false;
}

static void native_send_nmi(unsigned cpu)
{
	lapic_send_ipi(cpu, LAPIC_VECTOR_NMI);
}

static void native_witness(bool end __unused) {}

static void native_stop_this_cpu(void)
{
	__asm__ volatile("cli; hlt");
}

struct pv_ops pv_ops = {
	.name = "native",
	.irq =
		{
			.save_fl = native_save_fl,
			.irq_disable = native_irq_disable,
			.irq_enable = native_irq_enable,
			.safe_halt = native_safe_halt,
		},
	.cpu =
		{
			.uaccess_begin = native_nop,
			.uaccess_end = native_nop,
			.enter_kernel = native_nop,
			.load_sp0 = native_load_sp0,
			.save_user_segments = native_save_user_segments,
			.load_user_segments = native_load_user_segments,
			.enter_user = task_enter_user,
			.text_writable = native_text_writable,
		},
	.mmu =
		{
			.take_over = native_take_over,
			.fix_fault = native_fix_fault,
			.audit = native_audit,
			.read_cr2 = native_read_cr2,
			.pfn_to_mfn = native_identity,
			.mfn_to_pfn = native_identity,
			.set_pte = native_set_pte,
			.install_pte = native_install_pte,
			.ptep_get_and_clear = native_ptep_get_and_clear,
			.get_and_clear_ptes = native_get_and_clear_ptes,
			.modify_ptes = native_modify_ptes,
			.set_tables = native_set_tables,
			.alloc_table = native_alloc_table,
			.unmake_table = native_unmake_table,
			.issue = native_issue,
			.flush_tlb_local = native_flush_tlb_local,
			.flush_tlb_one = native_flush_tlb_one,
			.flush_tlb = tlb_flush_by_call,
			.load_pgd = native_load_pgd,
		},
	.lock =
		{
			.wait = native_lock_wait,
			.kick = native_lock_kick,
			.cpu_is_preempted = native_cpu_is_preempted,
		},
	.smp =
		{
			.send_ipi = lapic_send_ipi,
			.eoi = lapic_eoi,
			.set_timer = lapic_set_timer,
			.clock_ns = native_clock_ns,
			.send_nmi = native_send_nmi,
			.stop_this_cpu = native_stop_this_cpu,
			.witness = native_witness,
			.shutdown = debug_exit,
		},
};

void native_setup(void)
{
	const struct cpu_features *f = &cpu_features;

	if (f->swapgs_fence)
		pv_ops.cpu.enter_kernel = f->smap ? native_clac_lfence : native_lfence;
	else if (f->smap)
		pv_ops.cpu.enter_kernel = native_clac;
	if (!f->smap)
		return;
	pv_ops.cpu.uaccess_begin = native_stac;
	pv_ops.cpu.uaccess_end = native_clac;
}
