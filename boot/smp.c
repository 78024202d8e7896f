/*
 * Bring-up of application processors by INIT and STARTUP IPIs (Intel SDM vol. 3, 9.4), one at a
 * time. The boot CPU is number 0, the others follow in the MADT's order.
 */
#include "kernel/cpu/smp.h"

#include "drivers/acpi.h"
#include "drivers/lapic.h"
#include "kernel/arch/io.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/rng.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "kernel/sched/sched.h"
#include "kernel/time/clock.h"
#include "mm/frame/early.h"
#include "mm/lazy/tlb.h"
#include "mm/table/pgtable.h"

#define STARTUP_RETRY_NS 100000000UL
#define STARTUP_TIMEOUT_NS 20000000000UL

extern u8 trampoline_start[], trampoline_end[];
extern u64 trampoline_cr3, trampoline_stack, trampoline_entry;

static unsigned nr_cpus = 1, starting_cpu;
static pgd_t *trampoline_pgd;
static struct task *starting_idle;
cpumask_t cpu_online_mask;

static u64 *trampoline_word(u64 *var)
{
	return __va(TRAMPOLINE + ((u8 *)var - trampoline_start));
}

/*
 * Tables for the trampoline: one page mapped to itself. They must lie below 4 GiB for 32-bit code.
 */
static void make_trampoline_tables(void)
{
	u64 *table[4], flags = _PAGE_PRESENT | _PAGE_RW;

	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		table[i] = early_alloc(PAGE_SIZE, PAGE_SIZE);
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(table); i++)
		table[i][0] = __pa(table[i + 1]) | flags;
	table[3][pte_index(TRAMPOLINE)] = TRAMPOLINE | _PAGE_PRESENT;
	trampoline_pgd = (pgd_t *)table[0];
	if (__pa(trampoline_pgd) >> 32)
		panic("smp: no memory below 4 GiB for the trampoline's tables");
}

void smp_prepare(unsigned max)
{
	u32 self = lapic_id();

	lapic_set_id(0, self);
	for (unsigned i = 0; i < acpi_info.nr_cpus && nr_cpus < max; i++) {
		if (acpi_info.apic_id[i] == self)
			continue;
		percpu_alloc(nr_cpus);
		cpu_alloc_stacks(nr_cpus);
		lapic_set_id(nr_cpus++, acpi_info.apic_id[i]);
	}
	if (nr_cpus > 1)
		make_trampoline_tables();
}

unsigned smp_possible_cpus(void)
{
	return nr_cpus;
}

void smp_init_this_cpu(unsigned cpu)
{
	*this_cpu_rng() = rng_stream(boot_seed, cpu);
	sched_init_cpu(cpu);
	tlb_init_cpu();
}

/* The first C code of an application processor, on its idle task's stack. */
static void __noreturn ap_main(void)
{
	unsigned cpu = starting_cpu;

	write_cr3(__pa(init_mm.pgd));
	cpu_init(cpu);
	idt_load();
	this_cpu_write(current_task, starting_idle);
	smp_init_this_cpu(cpu);
	pv_load_sp0(current->stack + KSTACK_SIZE);
	lapic_init_cpu();
	cpumask_set(&cpu_online_mask, cpu);
	preempt_enable_no_resched();
	local_irq_enable();
	cpu_idle();
}

static bool wait_online(unsigned cpu, u64 ns)
{
	u64 start = clock_ns();

	while (!cpumask_test(&cpu_online_mask, cpu)) {
		if (clock_ns() - start > ns)
			return false;
		cpu_relax();
	}
	return true;
}

static void start_cpu(unsigned cpu)
{
	starting_cpu = cpu;
	starting_idle = sched_alloc_idle(cpu);
	*trampoline_word(&trampoline_stack) = starting_idle->stack + KSTACK_SIZE;
	lapic_send_init(cpu);
	clock_delay_ns(200000);
	lapic_send_startup(cpu, TRAMPOLINE >> PAGE_SHIFT);
	if (wait_online(cpu, STARTUP_RETRY_NS))
		return;
	lapic_send_startup(cpu, TRAMPOLINE >> PAGE_SHIFT);
	if (!wait_online(cpu, STARTUP_TIMEOUT_NS))
		panic("smp: CPU %u does not start", cpu);
}

void smp_start_all(void)
{
	memcpy(__va(TRAMPOLINE), trampoline_start, trampoline_end - trampoline_start);
	*trampoline_word(&trampoline_entry) = (u64)ap_main;
	if (nr_cpus > 1) {
		memcpy(trampoline_pgd + 256, init_mm.pgd + 256, 256 * sizeof(pgd_t));
		*trampoline_word(&trampoline_cr3) = __pa(trampoline_pgd);
	}
	smp_init_this_cpu(0);
	this_cpu_write(current_task, sched_alloc_idle(0));
	pv_load_sp0(current->stack + KSTACK_SIZE);
	for (unsigned cpu = 1; cpu < nr_cpus; cpu++)
		start_cpu(cpu);
	BUG_ON(cpumask_weight(&cpu_online_mask) != nr_cpus);
	pr_info("smp: %u CPUs\n", nr_cpus);
}
