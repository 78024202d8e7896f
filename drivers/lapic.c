/*
 * The local APIC. Source: Intel SDM vol. 3, chapter 11. Each CPU touches only its own; sending an
 * IPI in xAPIC mode takes two writes, so interrupts are off between them.
 */
#include "drivers/lapic.h"

#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/cpu.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/time/clock.h"
#include "kernel/time/clock_measure.h"
#include "mm/table/pgtable.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_X2APIC BIT(10)
#define MSR_X2APIC 0x800

enum {
	REG_ID = 0x02,
	REG_EOI = 0x0b,
	REG_SPURIOUS = 0x0f,
	REG_ICR = 0x30,
	REG_ICR_HIGH = 0x31,
	REG_LVT_TIMER = 0x32,
	REG_TIMER_INITIAL = 0x38,
	REG_TIMER_CURRENT = 0x39,
	REG_TIMER_DIVIDE = 0x3e,
};
#define SPURIOUS_ENABLE BIT(8)
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_ASSERT BIT(14)
#define ICR_BUSY BIT(12)
#define DIVIDE_BY_1 0x0b
#define LVT_MASKED BIT(16)
#define LVT_PERIODIC BIT(17)
#define SUPPOSED_HZ 1000000000UL

static volatile u32 *mmio;
static u32 apic_id_of[MAX_CPUS];
static u64 ticks_per_ms;

static u32 read_reg(unsigned reg)
{
	return cpu_features.x2apic ? (u32)rdmsr(MSR_X2APIC + reg) : mmio[reg * 4];
}

static void write_reg(unsigned reg, u32 v)
{
	if (cpu_features.x2apic)
		wrmsr(MSR_X2APIC + reg, v);
	else
		mmio[reg * 4] = v;
}

void lapic_map(u64 address)
{
	if (!cpu_features.x2apic)
		mmio = fixmap_device(address);
}

void lapic_set_id(unsigned cpu, u32 apic_id)
{
	apic_id_of[cpu] = apic_id;
}

u32 lapic_id(void)
{
	return cpu_features.x2apic ? read_reg(REG_ID) : read_reg(REG_ID) >> 24;
}

/* It counts down. */
static u64 read_timer(void)
{
	return -(u64)read_reg(REG_TIMER_CURRENT);
}

/* Without an interrupt, from the largest value down, over and over. */
static void calibrate_timer(void)
{
	const struct clock_counter timer = {"the local APIC's timer", SUPPOSED_HZ, ~0U, read_timer};
	u64 tsc_hz;

	write_reg(REG_LVT_TIMER, LVT_MASKED | LVT_PERIODIC | VECTOR_TIMER);
	write_reg(REG_TIMER_INITIAL, ~0U);
	tsc_hz = measure_hz(&timer, rdtsc);
	write_reg(REG_TIMER_INITIAL, 0);
	if (!tsc_hz)
		panic("lapic: the timer does not count, or not evenly");
	/* The TSC would be that fast if the timer were as fast as supposed. */
	ticks_per_ms = mul_div(SUPPOSED_HZ, clock_tsc_hz(), tsc_hz) / 1000;
}

void lapic_init_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | APIC_BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (cpu_features.x2apic)
		wrmsr(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
	write_reg(REG_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
	write_reg(REG_TIMER_DIVIDE, DIVIDE_BY_1);
	if (!ticks_per_ms)
		calibrate_timer();
	write_reg(REG_LVT_TIMER, VECTOR_TIMER);
}

static void send_ipi(u32 apic_id, u32 command)
{
	unsigned long flags;

	if (cpu_features.x2apic) {
		wrmsr(MSR_X2APIC + REG_ICR, (u64)apic_id << 32 | command);
		return;
	}
	flags = local_irq_save();
	while (read_reg(REG_ICR) & ICR_BUSY)
		cpu_relax();
	write_reg(REG_ICR_HIGH, apic_id << 24);
	write_reg(REG_ICR, command);
	local_irq_restore(flags);
}

void lapic_send_ipi(unsigned cpu, u8 vector)
{
	count(CNT_IPIS);
	trace(TRACE_IPI, 0, cpu, vector);
	smp_mb(); /* x2APIC writes do not order earlier stores */
	send_ipi(apic_id_of[cpu], ICR_ASSERT | (vector == LAPIC_VECTOR_NMI ? ICR_NMI : vector));
}

void lapic_send_init(unsigned cpu)
{
	send_ipi(apic_id_of[cpu], ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(unsigned cpu, u8 page)
{
	send_ipi(apic_id_of[cpu], ICR_ASSERT | ICR_STARTUP | page);
}

void lapic_eoi(void)
{
	write_reg(REG_EOI, 0);
}

void lapic_set_timer(u64 ns)
{
	u64 ticks = ns * ticks_per_ms / 1000000;

	write_reg(REG_TIMER_INITIAL, ticks < 1 ? 1 : ticks > ~0u ? ~0u : ticks);
}
