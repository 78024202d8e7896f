/*
 * The meter, in a build with METER=1 (./pteron bench makes one for its floor): a system call by
 * which a program reads what this CPU has done for it, and puts the least of a page-fault and of a
 * system-call handler in the place of the kernel's, to measure them; and the parts of a floor as the
 * kernel itself has them, for the suite `costs`.
 *
 * It stands where Linux has perf_event_open, which Pteron lacks: no program finds it by accident.
 */
#ifdef CONFIG_METER
#include "tests/bench/meter.h"

#include "kernel/arch/io.h"
#include "kernel/arch/segments.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/process/syscall.h"
#include "mm/types/addr.h"
#include "pv/pv_ops.h"
#include "pv/xen/hypercall.h"
#include "pv/xen/xen.h"
#include "tests/bench/floor.h"

_Static_assert(NR_perf_event_open == 298, "meter.asm lets this call through");

extern u8 meter_fault[], meter_syscall[], meter_xen_fault[], meter_xen_syscall[];
extern u8 xen_syscall_callback[], trap_stubs[256][16], xen_trap_stubs[32][32];

enum { METER_READ, METER_PROBE_ON, METER_PROBE_OFF };

struct gate {
	u16 offset_low, selector, type, offset_mid;
	u32 offset_high, reserved;
};

static void set_native(u64 fault, u64 call)
{
	struct {
		u16 limit;
		struct gate *gates;
	} __packed idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	idt.gates[TRAP_PF].offset_low = fault;
	idt.gates[TRAP_PF].offset_mid = fault >> 16;
	idt.gates[TRAP_PF].offset_high = fault >> 32;
	wrmsr(MSR_LSTAR, call);
}

static void set_xen(u64 fault, u64 call)
{
	struct trap_info traps[2] = {{.vector = TRAP_PF, .cs = FLAT_KERNEL_CS, .address = fault}};
	struct callback_register callback = {.type = CALLBACKTYPE_syscall, .address = call};

	TI_SET_IF(&traps[0], 1);
	xen_check("the meter's trap", hypercall(__HYPERVISOR_set_trap_table, (u64)traps, 0, 0, 0));
	xen_check("the meter's callback",
		  hypercall(__HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&callback, 0, 0));
}

void meter_probe(bool on)
{
	if (!strcmp(pv_ops.name, "xen"))
		set_xen((u64)(on ? meter_xen_fault : xen_trap_stubs[TRAP_PF]),
			(u64)(on ? meter_xen_syscall : xen_syscall_callback));
	else
		set_native((u64)(on ? meter_fault : trap_stubs[TRAP_PF]),
			   on ? (u64)meter_syscall : (u64)syscall_entry);
}

void meter_read(struct meter_counts *out)
{
	const u64 *counter = this_cpu_ptr(cpu_counters)[0];

	*out = (struct meter_counts){.faults = counter[CNT_PAGE_FAULTS],
				     .calls = counter[CNT_SYSCALLS],
				     .copies = counter[CNT_COW_COPIES],
				     .hypervisor = counter[CNT_HYPERVISOR_TICKS]};
}

static long read_counts(unsigned long out)
{
	struct meter_counts counts;

	meter_read(&counts);
	return copy_to_user(out, &counts, sizeof(counts));
}

/* --- the parts, in the kernel --- */

#define NOWHERE 0x7f0000000000UL

static u8 scratch[2][PAGE_SIZE] __aligned(PAGE_SIZE);
static struct floor_entries entries;

static void report_part(const char *name, u64 start, unsigned n)
{
	u64 end = rdtsc();

	printk("# part %s instructions=%lu\n", name, (end - start) / n);
}

void meter_report_parts(void)
{
	u64 start;

	meter_probe(true);
	start = rdtsc();
	FLOOR_FAULTS(NOWHERE);
	report_part("exception", start, FLOOR_PROBES);
	meter_probe(false);
	start = rdtsc();
	floor_clear(scratch[0]);
	report_part("clear", start, 1);
	start = rdtsc();
	floor_copy(scratch[1], scratch[0]);
	report_part("copy", start, 1);
	floor_fill(&entries);
	start = rdtsc();
	floor_change(&entries);
	report_part("change", start, FLOOR_ENTRIES);
	start = rdtsc();
	BUG_ON(!floor_free(&entries));
	report_part("free", start, FLOOR_ENTRIES);
}

SYSCALL_DEFINE2(perf_event_open, int, what, unsigned long, out)
{
	if (what == METER_READ)
		return read_counts(out);
	if (what != METER_PROBE_ON && what != METER_PROBE_OFF)
		return -EINVAL;
	meter_probe(what == METER_PROBE_ON);
	return 0;
}
#endif
