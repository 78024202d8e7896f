/*
 * Suite `clock_rate`: how the TSC's rate and the date are found, on machines that are made up, here
 * and on the host. Their CPUID says what the manuals say it may; their host stops the CPU where it
 * likes.
 *
 * Oracle: the rate that the machine was made with, and another calendar.
 */
#include "drivers/rtc.h"
#include "kernel/lib/string.h"
#include "kernel/time/clock.h"
#include "kernel/time/clock_cpuid.h"
#include "kernel/time/clock_measure.h"
#include "tests/ktest.h"

/* --- CPUID --- */

static struct machine {
	const char *hypervisor; /* NULL: none */
	u32 base, max_leaf, max_basic;
	struct cpuid_regs timing, xen_time, features, crystal, frequency;
} machine;

static struct cpuid_regs hypervisor_leaf(u32 leaf)
{
	struct cpuid_regs r = {0};

	if (leaf == machine.base) {
		r.eax = machine.max_leaf;
		memcpy(&r.ebx, machine.hypervisor, 4);
		memcpy(&r.ecx, machine.hypervisor + 4, 4);
		memcpy(&r.edx, machine.hypervisor + 8, 4);
	} else if (leaf == machine.base + 1) {
		r = machine.features;
	} else if (leaf == machine.base + 3) {
		r = machine.xen_time;
	} else if (leaf == machine.base + 0x10) {
		r = machine.timing;
	}
	return r;
}

static struct cpuid_regs made_up_cpuid(u32 leaf, u32 subleaf)
{
	if (leaf >= 0x40000000 && leaf < 0x50000000 && machine.hypervisor)
		return hypervisor_leaf(leaf);
	if (subleaf || leaf > machine.max_basic)
		return (struct cpuid_regs){0x12345678, 0x12345678, 0x12345678, 0x12345678};
	switch (leaf) {
	case 0:
		return (struct cpuid_regs){.eax = machine.max_basic};
	case 1:
		return (struct cpuid_regs){.ecx = machine.hypervisor ? BIT(31) : 0};
	case 0x15:
		return machine.crystal;
	case 0x16:
		return machine.frequency;
	default:
		return (struct cpuid_regs){0};
	}
}

static void hypervisors_tell(struct ktest *t)
{
	static const struct {
		struct machine m;
		u64 hz;
		u32 msr;
	} rows[] = {
		{{"KVMKVMKVM\0\0\0", 0x40000000, 0x40000010, 0xd,
		  .timing = {.eax = 2457000, .ebx = 1000000}},
		 2457000000UL,
		 0},
		{{"KVMKVMKVM\0\0\0", 0x40000100, 0x40000110, 0xd, .timing = {.eax = 3000000},
		  .features = {.eax = BIT(3)}},
		 3000000000UL,
		 0x4b564d01},
		/*
		 * QEMU without vmware-cpuid-freq: the leaf that it does not have reads as another.
		 */
		{{"KVMKVMKVM\0\0\0", 0x40000000, 0x40000001, 0xd, .timing = {.eax = 7},
		  .features = {.eax = BIT(3)}},
		 0,
		 0x4b564d01},
		{{"KVMKVMKVM\0\0\0", 0x40000000, 0, 0xd, .features = {.eax = BIT(0)}}, 0, 0},
		{{"TCGTCGTCGTCG", 0x40000000, 0x40000001, 0xd, .timing = {.eax = 7}}, 0, 0},
		{{"VMwareVMware", 0x40000000, 0x40000010, 0x16, .timing = {.eax = 2100000}},
		 2100000000UL,
		 0},
		{{"XenVMMXenVMM", 0x40000000, 0x40000005, 0xd, .timing = {.eax = 7},
		  .xen_time = {.ecx = 1995192}},
		 1995192000UL,
		 0},
		{{"Microsoft Hv", 0x40000000, 0x40000010, 0x16, .timing = {.eax = 7}}, 0, 0},
		{{.max_basic = 0xd}, 0, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		machine = rows[i].m;
		KEXPECT_EQ(t, tsc_hz_by_hypervisor(made_up_cpuid), rows[i].hz);
		KEXPECT_EQ(t, kvm_clock_msr(made_up_cpuid), rows[i].msr);
	}
}

static void processors_tell(struct ktest *t)
{
	machine = (struct machine){.max_basic = 0x16,
				   .crystal = {.eax = 2, .ebx = 216, .ecx = 24000000},
				   .frequency = {.eax = 0x12340a28}};
	KEXPECT_EQ(t, tsc_hz_by_crystal(made_up_cpuid), 2592000000UL);
	KEXPECT_EQ(t, tsc_hz_by_base_frequency(made_up_cpuid), 2600000000UL);
	machine.crystal.ecx = 0; /* Skylake does not say */
	KEXPECT_EQ(t, tsc_hz_by_crystal(made_up_cpuid), 0);
	machine.crystal = (struct cpuid_regs){0};
	KEXPECT_EQ(t, tsc_hz_by_crystal(made_up_cpuid), 0);
	machine.max_basic = 0x14;
	KEXPECT_EQ(t, tsc_hz_by_crystal(made_up_cpuid), 0);
	KEXPECT_EQ(t, tsc_hz_by_base_frequency(made_up_cpuid), 0);
}

/* Of the scales that hypervisors choose for such rates. */
static void time_pages_tell(struct ktest *t)
{
	KEXPECT_EQ(t, pvclock_hz(0, 0), 0);
	KEXPECT_EQ(t, pvclock_hz(0x80000000, 1), NS_PER_S);
	KEXPECT_EQ(t, pvclock_hz(0x80000000, 0), 2 * NS_PER_S);
	KEXPECT_EQ(t, pvclock_hz(0x80000000, -1), 4 * NS_PER_S);
	KEXPECT_EQ(t, pvclock_hz(3496153613U, -1) / 1000000, 2456);
	KEXPECT_EQ(t, pvclock_ticks_to_ns(1000, 0x80000000, 1), 1000);
	KEXPECT_EQ(t, pvclock_ticks_to_ns(1000, 0x80000000, -1), 250);
	KEXPECT_EQ(t, pvclock_ticks_to_ns(-1, 0x80000000, 1), 0);
	KEXPECT_EQ(t, pvclock_ticks_to_ns(-1, 0x80000000, -1), 0);
}

/* --- a host that stops the CPU --- */

static struct {
	struct rng rng;
	u64 now;	  /* ns */
	u64 read_ns;	  /* what a reading of the counter takes */
	u64 stop_per_mil; /* how often the host stops the CPU, in 100,000 readings */
	u64 stop_ns;	  /* for how long at most */
	u64 tsc_hz;
	struct clock_counter counter;
} host;

static void host_goes_on(u64 ns)
{
	host.now += ns / 2 + rng_below(&host.rng, ns);
	if (rng_below(&host.rng, 100000) < host.stop_per_mil)
		host.now += rng_below(&host.rng, host.stop_ns);
}

static u64 host_tsc(void)
{
	host_goes_on(40);
	return mul_div(host.now, host.tsc_hz, NS_PER_S);
}

static u64 host_count(void)
{
	u64 count;

	host_goes_on(host.read_ns);
	count = mul_div(host.now, host.counter.hz, NS_PER_S) & host.counter.mask;
	host_goes_on(host.read_ns);
	return count;
}

static void start_host(struct ktest *t, u64 hz, u64 mask, u64 read_ns)
{
	host.rng = t->rng;
	host.now = rng_below(&t->rng, NS_PER_S);
	host.tsc_hz = NS_PER_S + rng_below(&t->rng, 3 * NS_PER_S);
	host.read_ns = read_ns;
	host.counter = (struct clock_counter){"a counter", hz, mask, host_count};
}

static void expect_rate(struct ktest *t)
{
	u64 hz = measure_hz(&host.counter, host_tsc);

	KEXPECT(t, hz > host.tsc_hz - host.tsc_hz / 500 && hz < host.tsc_hz + host.tsc_hz / 500);
}

static void an_idle_host(struct ktest *t)
{
	host.stop_per_mil = 0;
	start_host(t, 3579545, BIT(24) - 1, 1000);
	expect_rate(t);
	start_host(t, 100000000, ~0U, 500);
	expect_rate(t);
	start_host(t, 1193182, 0xffff, 3000);
	expect_rate(t);
}

/* Stops of up to 40 ms, one in 200 readings; and long ones, after which a counter has wrapped. */
static void a_busy_host(struct ktest *t)
{
	for (unsigned i = 0; i < 10; i++) {
		host.stop_per_mil = 500;
		host.stop_ns = 40000000;
		start_host(t, 3579545, BIT(24) - 1, 1000);
		expect_rate(t);
		host.stop_per_mil = 10;
		host.stop_ns = 20 * NS_PER_S;
		start_host(t, 3579545, BIT(24) - 1, 1000);
		expect_rate(t);
		host.stop_per_mil = 5;
		host.stop_ns = NS_PER_S;
		start_host(t, 1193182, 0xffff, 3000);
		expect_rate(t);
	}
}

static u64 stands_still(void)
{
	return 77;
}

static void a_counter_that_stands_still(struct ktest *t)
{
	host.stop_per_mil = 0;
	start_host(t, 3579545, BIT(24) - 1, 1000);
	host.counter.read = stands_still;
	KEXPECT_EQ(t, measure_hz(&host.counter, host_tsc), 0);
}

static void products(struct ktest *t)
{
	KEXPECT_EQ(t, mul_div(1UL << 50, 1UL << 30, 1UL << 40), 1UL << 40);
	KEXPECT_EQ(t, mul_div(7, 9, 10), 6);
	KEXPECT_EQ(t, mul_div(1UL << 50, 1UL << 30, 1), ~0UL);
	KEXPECT_EQ(t, mul_div(1, 1, 0), ~0UL);
}

/* --- the date --- */

static void dates(struct ktest *t)
{
	static const struct {
		u8 field[RTC_FIELDS];
		u8 register_b;
		u64 seconds; /* of another calendar: Python's datetime */
	} rows[] = {
		{{0, 0, 0, 1, 1, 0}, RTC_BINARY | RTC_24_HOURS, 946684800},
		{{59, 59, 23, 29, 2, 0}, RTC_BINARY | RTC_24_HOURS, 951868799},
		{{0, 0, 0, 1, 3, 0}, RTC_BINARY | RTC_24_HOURS, 951868800},
		{{7, 8, 9, 28, 2, 27}, RTC_BINARY | RTC_24_HOURS, 1803805687},
		{{0, 0, 0, 31, 12, 99}, RTC_BINARY | RTC_24_HOURS, 4102358400},
		{{0x59, 0x30, 0x17, 0x30, 0x11, 0x26}, RTC_24_HOURS, 1796059859},
		{{0, 0, 0x12, 1, 1, 0x26}, 0, 1767225600},
		{{0, 0, 0x92, 1, 1, 0x26}, 0, 1767268800},
		{{0, 0, 0x91, 1, 1, 0x28}, 0, 1830380400},
		{{0, 0, 0x81, 1, 3, 28}, RTC_BINARY, 1835528400},
		{{0, 0, 0, 0, 1, 26}, RTC_BINARY | RTC_24_HOURS, 0},
		{{0, 0, 0, 1, 13, 26}, RTC_BINARY | RTC_24_HOURS, 0},
		{{0, 0, 24, 1, 1, 26}, RTC_BINARY | RTC_24_HOURS, 0},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0xff, 0},
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 field[RTC_FIELDS];

		memcpy(field, rows[i].field, sizeof(field));
		KEXPECT_EQ(t, rtc_decode(field, rows[i].register_b), rows[i].seconds);
	}
}

static const struct ktest_case cases[] = {
	{"dates", dates},
	{"hypervisors_tell", hypervisors_tell},
	{"processors_tell", processors_tell},
	{"time_pages_tell", time_pages_tell},
	{"an_idle_host", an_idle_host},
	{"a_busy_host", a_busy_host},
	{"a_counter_that_stands_still", a_counter_that_stands_still},
	{"products", products},
};
KTEST_SUITE(clock_rate_suite, "clock_rate", "the TSC's rate, on machines that are made up", true,
	    cases);
