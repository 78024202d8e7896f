/*
 * Xen PV: descriptor tables and entries by hypercall, and the other vCPUs.
 * Sources: Xen's public/xen.h, public/callback.h, public/vcpu.h, public/physdev.h.
 */
#include "kernel/cpu/cpu.h"

#include "drivers/debug_exit.h"
#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "kernel/sched/sched.h"
#include "kernel/time/clock.h"
#include "mm/frame/early.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "mm/types/addr.h"
#include "pv/xen/xen.h"

#define TRAP_MASK_EVENTS 4 /* trap_info.flags */
#define START_TIMEOUT_NS 10000000000UL

struct start_info *xen_start_info;
struct shared_info *xen_shared_info;

/* One page of the image becomes the shared page. */
static u8 shared_page[PAGE_SIZE] __aligned(PAGE_SIZE);

extern u8 xen_trap_stubs[32][32];
void xen_event_callback(void);
void xen_failsafe_callback(void);
void xen_syscall_callback(void);
void xen_ap_entry(void);
void xen_enter_user(struct pt_regs *regs);
void xen_ap_main(void) __noreturn;

void xen_check(const char *what, long err)
{
	if (unlikely(err))
		panic("xen: %s refused: %ld", what, err);
}

static const u8 trap_vectors[] = {0,  1,  TRAP_NMI, 3,	4,  5,	6,  7, 10,
				  11, 12, 13,	    14, 16, 17, 18, 19};

/*
 * User mode's code and data, where a native kernel has them; in kernel mode Xen's own flat segments
 * serve. In a page of its own, because Xen takes only what the guest cannot write. AMD APM vol. 2,
 * 4.8.
 */
static const u64 gdt[PTRS_PER_TABLE] __aligned(PAGE_SIZE) = {
	[USER_DS / 8] = 0x00cff3000000ffff,
	[USER_CS / 8] = 0x00affb000000ffff,
};
#define GDT_ENTRIES (USER_CS / 8 + 1)

static u64 gdt_mfn(void)
{
	return pfn_to_mfn(pfn(((unsigned long)gdt - KERNEL_BASE) >> PAGE_SHIFT)).v;
}

void xen_set_gdt(void)
{
	u64 frame = gdt_mfn();

	xen_check("set_gdt", hypercall(__HYPERVISOR_set_gdt, (u64)&frame, GDT_ENTRIES, 0, 0));
}

static struct trap_info trap_entry(u8 vector)
{
	return (struct trap_info){
		.vector = vector,
		.flags = TRAP_MASK_EVENTS | (vector == TRAP_BP ? 3 : 0),
		.cs = FLAT_KERNEL_CS,
		.address = (unsigned long)xen_trap_stubs[vector],
	};
}

/* start_vcpu() gives the same to the other vCPUs. */
static void set_callback(u16 type, void (*entry)(void), u16 flags)
{
	struct callback_register callback = {
		.type = type, .flags = flags, .address = (unsigned long)entry};

	xen_check("a callback",
		  hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&callback, 0, 0));
}

void xen_set_traps(void)
{
	static struct trap_info traps[ARRAY_SIZE(trap_vectors) + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(trap_vectors); i++)
		traps[i] = trap_entry(trap_vectors[i]);
	xen_check("set_trap_table", hypercall(__HYPERVISOR_set_trap_table, (u64)traps, 0, 0, 0));
	set_callback(CALLBACKTYPE_event, xen_event_callback, 0); /* masks events itself */
	set_callback(CALLBACKTYPE_failsafe, xen_failsafe_callback, CALLBACKF_mask_events);
	set_callback(CALLBACKTYPE_syscall, xen_syscall_callback, 0);
}

static void xen_load_sp0(unsigned long sp)
{
	xen_check("stack_switch", hypercall(__HYPERVISOR_stack_switch, FLAT_KERNEL_SS, sp, 0, 0));
}

/*
 * Without FSGSBASE user mode changes its bases by loading selectors alone. Those that are not null
 * bring base 0, as all segments that it can load; with a null one the task's copy is right, as on
 * Linux (its save_base_legacy()).
 */
static void xen_save_user_segments(struct task *t)
{
	t->selectors = read_selectors();
	if (t->selectors.fs > SELECTOR_NULL_MAX)
		t->fs_base = 0;
	if (t->selectors.gs > SELECTOR_NULL_MAX)
		t->gs_base = 0;
}

static __noinline void xen_load_selectors(const union selectors *s)
{
	load_ds_es_fs(s);
	xen_check("the GS selector", xen_set_segment_base(SEGBASE_GS_USER_SEL, s->gs));
}

static void xen_load_user_segments(const struct task *t)
{
	if (unlikely(read_selectors().all != t->selectors.all))
		xen_load_selectors(&t->selectors);
	xen_check("the FS base", xen_set_segment_base(SEGBASE_FS, t->fs_base));
	xen_check("the GS base", xen_set_segment_base(SEGBASE_GS_USER, t->gs_base));
}

/* The image is writable until xen_protect_image(). */
static void xen_text_writable(bool on __unused) {}

static void xen_send_nmi(unsigned cpu)
{
	xen_vcpu_op(VCPUOP_send_nmi, cpu, NULL);
}

static void xen_stop_this_cpu(void)
{
	xen_vcpu_op(VCPUOP_down, smp_processor_id(), NULL);
}

/*
 * A dom0 leaves by QEMU's exit device, because SCHEDOP_shutdown would end or hang QEMU whatever the
 * reason; it needs the right to ports first. A domU says its reason to the toolstack.
 */
static void xen_shutdown(enum shutdown_reason why)
{
	struct sched_shutdown reason = {
		.reason = why == SHUTDOWN_CRASHED ? SHUTDOWN_crash : SHUTDOWN_poweroff,
	};
	struct physdev_set_iopl iopl = {.iopl = 1};

	if (xen_start_info->flags & SIF_INITDOMAIN) {
		hypercall(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (u64)&iopl, 0, 0);
		debug_exit(why);
	}
	xen_console_drain();
	xen_sched_op(SCHEDOP_shutdown, &reason);
}

static void fill_pv_ops(void)
{
	pv_ops.name = "xen";
	pv_ops.cpu.load_sp0 = xen_load_sp0;
	pv_ops.cpu.save_user_segments = xen_save_user_segments;
	pv_ops.cpu.load_user_segments = xen_load_user_segments;
	pv_ops.cpu.enter_user = xen_enter_user;
	pv_ops.cpu.text_writable = xen_text_writable;
	pv_ops.smp.send_nmi = xen_send_nmi;
	pv_ops.smp.stop_this_cpu = xen_stop_this_cpu;
	pv_ops.smp.witness = xen_witness;
	pv_ops.smp.shutdown = xen_shutdown;
}

/* Whether Xen emulates plain stores to L1 tables; a dom0 starts with it on. */
void xen_set_writable_tables(bool on)
{
	xen_check("vm_assist",
		  hypercall(__HYPERVISOR_vm_assist, on ? VMASST_CMD_enable : VMASST_CMD_disable,
			    VMASST_TYPE_writable_pagetables, 0, 0));
}

bool xen_select_backend(const char *name)
{
	if (!strcmp(name, "ptwr"))
		xen_ptwr_setup();
	return !strcmp(name, pv_ops.name);
}

static unsigned nr_vcpus = 1, starting_vcpu;
static struct task *starting_vcpu_idle;

/* As many as Xen has for us: VCPUOP_is_up knows those that exist. */
void xen_prepare_vcpus(unsigned max)
{
	for (; nr_vcpus < min(max, (unsigned)XEN_MAX_VCPUS); nr_vcpus++) {
		if (xen_vcpu_op(VCPUOP_is_up, nr_vcpus, NULL) < 0)
			break;
		percpu_alloc(nr_vcpus);
	}
}

static void init_this_vcpu(unsigned cpu)
{
	this_cpu_write(this_cpu_offset, percpu_offset[cpu]);
	this_cpu_write(cpu_number, cpu);
	xen_irq_init_cpu(cpu);
	smp_init_this_cpu(cpu);
	pv_load_sp0(current->stack + KSTACK_SIZE);
}

void xen_ap_main(void)
{
	unsigned cpu = starting_vcpu;

	this_cpu_write(current_task, starting_vcpu_idle);
	init_this_vcpu(cpu);
	cpumask_set(&cpu_online_mask, cpu);
	preempt_enable_no_resched();
	local_irq_enable();
	cpu_idle();
}

static void start_vcpu(unsigned cpu)
{
	static struct vcpu_guest_context ctx;
	u64 start = clock_ns();

	xen_irq_prepare_cpu(cpu);
	starting_vcpu = cpu;
	starting_vcpu_idle = sched_alloc_idle(cpu);
	memset(&ctx, 0, sizeof(ctx));
	ctx.flags = VGCF_IN_KERNEL | VGCF_failsafe_disables_events;
	ctx.user_regs.rip = (unsigned long)xen_ap_entry;
	ctx.user_regs.rsp = starting_vcpu_idle->stack + KSTACK_SIZE;
	ctx.user_regs.cs = FLAT_KERNEL_CS;
	ctx.user_regs.ss = FLAT_KERNEL_SS;
	ctx.kernel_ss = FLAT_KERNEL_SS;
	ctx.kernel_sp = starting_vcpu_idle->stack + KSTACK_SIZE;
	ctx.ctrlreg[3] = xen_pfn_to_cr3(pfn_to_mfn(virt_to_pfn(init_mm.pgd)).v);
	ctx.event_callback_eip = (unsigned long)xen_event_callback;
	ctx.failsafe_callback_eip = (unsigned long)xen_failsafe_callback;
	ctx.syscall_callback_eip = (unsigned long)xen_syscall_callback;
	ctx.gs_base_kernel = percpu_offset[cpu];
	ctx.gdt_frames[0] = gdt_mfn();
	ctx.gdt_ents = GDT_ENTRIES;
	/* A list for set_trap_table, but here a table by vector. */
	for (unsigned i = 0; i < ARRAY_SIZE(trap_vectors); i++)
		ctx.trap_ctxt[trap_vectors[i]] = trap_entry(trap_vectors[i]);
	xen_check("VCPUOP_initialise", xen_vcpu_op(VCPUOP_initialise, cpu, &ctx));
	xen_check("VCPUOP_up", xen_vcpu_op(VCPUOP_up, cpu, NULL));
	while (!cpumask_test(&cpu_online_mask, cpu))
		if (clock_ns() - start > START_TIMEOUT_NS)
			panic("xen: vCPU %u does not start", cpu);
}

void xen_start_vcpus(void)
{
	/* The one L4 entry of the kernel stacks, before any mm copies the kernel half. */
	if (kernel_map_prepare(KSTACK_AREA))
		panic("xen: out of memory for the kernel stacks");
	this_cpu_write(current_task, sched_alloc_idle(0));
	init_this_vcpu(0);
	for (unsigned cpu = 1; cpu < nr_vcpus; cpu++)
		start_vcpu(cpu);
	BUG_ON(cpumask_weight(&cpu_online_mask) != nr_vcpus);
	pr_info("smp: %u CPUs\n", nr_vcpus);
}

void xen_setup(struct start_info *si)
{
	xen_start_info = si;
	xen_p2m = (const u64 *)si->mfn_list;
	xen_check("the shared page",
		  xen_update_va_mapping((unsigned long)shared_page,
					si->shared_info | _PAGE_PRESENT | _PAGE_RW |
						_PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_NX,
					UVMF_INVLPG | UVMF_LOCAL));
	xen_shared_info = (struct shared_info *)shared_page;
	fill_pv_ops();
	xen_mmu_setup();
	xen_tlb_setup();
	xen_tables_setup();
	xen_console_init();
	xen_irq_setup();
}
