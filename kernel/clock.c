/*
 * The clock: TSC ticks since boot, scaled. The TSC is measured against channel 2 of the 8254 timer,
 * or taken from CPUID leaf 0x15 where the timer does not count (Intel SDM vol. 3, 18.7.3). No
 * locks.
 */
#include "kernel/clock.h"

#include "kernel/io.h"
#include "kernel/panic.h"
#include "kernel/printk.h"

#define PIT_HZ 1193182
#define PIT_MEASURE_MS 10
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND 0x43
#define PIT_MODE0_CHANNEL2 0xb0
#define SPEAKER_PORT 0x61
#define SPEAKER_GATE2 0x01
#define SPEAKER_DATA 0x02
#define SPEAKER_OUT2 0x20
#define PIT_TIMEOUT_READS 10000000
#define SHIFT 24

static u64 tsc_start, ns_mult; /* ns = ticks * ns_mult >> SHIFT */

/* TSC ticks in PIT_MEASURE_MS, or 0 if the timer's output never rises. */
static u64 measure_by_pit(void)
{
	u16 latch = PIT_HZ * PIT_MEASURE_MS / 1000;
	unsigned reads = 0;
	u64 start;

	outb(SPEAKER_PORT, (inb(SPEAKER_PORT) & ~SPEAKER_DATA) | SPEAKER_GATE2);
	outb(PIT_COMMAND, PIT_MODE0_CHANNEL2);
	outb(PIT_CHANNEL2, latch & 0xff);
	outb(PIT_CHANNEL2, latch >> 8);
	start = rdtsc();
	while (!(inb(SPEAKER_PORT) & SPEAKER_OUT2))
		if (++reads == PIT_TIMEOUT_READS)
			return 0;
	return rdtsc() - start;
}

static u64 khz_by_cpuid(void)
{
	struct cpuid_regs r;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (u64)r.ecx * r.ebx / r.eax / 1000 : 0;
}

void clock_init(void)
{
	u64 khz = measure_by_pit() / PIT_MEASURE_MS;

	if (!khz)
		khz = khz_by_cpuid();
	if (!khz)
		panic("clock: neither the 8254 timer nor CPUID tells how fast the TSC is");
	ns_mult = (1000000UL << SHIFT) / khz;
	tsc_start = rdtsc();
	pr_info("clock: TSC at %lu.%03lu MHz\n", khz / 1000, khz % 1000);
}

u64 native_clock_ns(void)
{
	return (unsigned __int128)(rdtsc() - tsc_start) * ns_mult >> SHIFT;
}

void clock_delay_ns(u64 ns)
{
	u64 start = clock_ns();

	while (clock_ns() - start < ns)
		cpu_relax();
}
