/*
 * The clock: TSC ticks since boot, scaled, and the date of the boot. How fast the TSC is, is taken
 * from who knows: the hypervisor, KVM's clock, or the CPU itself (clock_cpuid.h); else it is
 * measured by a counter that can be read back (drivers/timers.h), whatever the host does meanwhile
 * (clock_measure.h). No locks.
 */
#include "kernel/time/clock.h"

#include "kernel/arch/io.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/time/clock_cpuid.h"
#include "kernel/time/clock_measure.h"
#include "mm/types/addr.h"

#define SHIFT 32
#define MIN_HZ 10000000UL /* less, or more than MAX_HZ, is no TSC's rate */
#define MAX_HZ 100000000000UL

static u64 tsc_start, tsc_hz, ns_mult; /* ns = ticks * ns_mult >> SHIFT */
static u64 epoch;

/* KVM fills the page, and keeps it up to date until it is told to stop. */
static u64 hz_by_kvm_clock(void)
{
	static volatile struct pvclock_time_info info __aligned(64);
	u32 msr = kvm_clock_msr(cpuid), version, mul;
	s8 shift;

	if (!msr)
		return 0;
	wrmsr(msr, __pa_symbol(&info) | 1);
	do {
		version = info.version;
		barrier();
		mul = info.tsc_to_system_mul;
		shift = info.tsc_shift;
		barrier();
	} while ((version & 1) || version != info.version);
	wrmsr(msr, 0);
	return pvclock_hz(mul, shift);
}

static u64 hz_by_measurement(const struct clock_counter *timers, unsigned n, const char **says)
{
	for (unsigned i = 0; i < n; i++) {
		u64 hz = measure_hz(&timers[i], rdtsc);

		*says = timers[i].name;
		if (hz)
			return hz;
		pr_warn("clock: %s is of no use: its measurements do not agree\n", timers[i].name);
	}
	return 0;
}

static bool is_possible(u64 hz)
{
	return hz >= MIN_HZ && hz <= MAX_HZ;
}

static u64 find_tsc_hz(const struct clock_counter *timers, unsigned n, const char **says)
{
	u64 hz;

	*says = "the hypervisor's CPUID";
	if (is_possible(hz = tsc_hz_by_hypervisor(cpuid)))
		return hz;
	*says = "KVM's clock";
	if (is_possible(hz = hz_by_kvm_clock()))
		return hz;
	*says = "CPUID leaf 0x15";
	if (is_possible(hz = tsc_hz_by_crystal(cpuid)))
		return hz;
	if (is_possible(hz = hz_by_measurement(timers, n, says)))
		return hz;
	*says = "CPUID leaf 0x16";
	if (is_possible(hz = tsc_hz_by_base_frequency(cpuid)))
		return hz;
	panic("clock: neither a hypervisor nor CPUID nor any timer tells how fast the TSC is");
}

void clock_set_tsc_hz(u64 hz, const char *says)
{
	tsc_hz = hz;
	ns_mult = (NS_PER_S << SHIFT) / hz;
	tsc_start = rdtsc();
	pr_info("clock: TSC at %lu.%03lu MHz, by %s\n", hz / 1000000, hz / 1000 % 1000, says);
}

void clock_init(const struct clock_counter *timers, unsigned n)
{
	const char *says;
	u64 hz = find_tsc_hz(timers, n, &says);

	clock_set_tsc_hz(hz, says);
}

u64 clock_tsc_hz(void)
{
	return tsc_hz;
}

void clock_set_epoch(u64 ns)
{
	epoch = ns;
}

u64 clock_epoch(void)
{
	return epoch;
}

u64 clock_ticks_to_ns(u64 ticks)
{
	return (unsigned __int128)ticks * ns_mult >> SHIFT;
}

u64 native_clock_ns(void)
{
	return clock_ticks_to_ns(rdtsc() - tsc_start);
}

void clock_delay_ns(u64 ns)
{
	u64 start = clock_ns();

	while (clock_ns() - start < ns)
		cpu_relax();
}
