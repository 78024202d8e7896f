/*
 * CPUID on the TSC's rate; see clock_cpuid.h.
 *
 * Sources: Intel SDM vol. 2, CPUID, leaves 0x15 and 0x16; Linux
 * Documentation/virt/kvm/x86/cpuid.rst and msr.rst; VMware KB 1009458 (the timing leaf, which QEMU
 * gives guests of KVM, too: vmware-cpuid-freq); Xen's public/arch-x86/cpuid.h (leaf 4). A
 * hypervisor's leaves begin at 0x40000000, or a multiple of 0x100 above it where it also plays
 * another one.
 */
#include "kernel/time/clock_cpuid.h"

#include "kernel/lib/string.h"

#define HYPERVISOR_PRESENT BIT(31) /* leaf 1, ecx */
#define FIRST_BASE 0x40000000U
#define LAST_BASE 0x4000ff00U
#define BASE_STEP 0x100U
#define KVM_FEATURES 0x01
#define KVM_FEATURE_CLOCKSOURCE2 BIT(3)
#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01
#define TIMING_LEAF 0x10
#define XEN_TIME_LEAF 0x03

static bool is_signature(struct cpuid_regs r, const char *signature)
{
	return !memcmp((u32[]){r.ebx, r.ecx, r.edx}, signature, 12);
}

/* The first leaf of the hypervisor @signature; 0: it is not there. */
static u32 find_base(cpuid_fn *cpuid, const char *signature)
{
	if (!(cpuid(1, 0).ecx & HYPERVISOR_PRESENT))
		return 0;
	for (u32 base = FIRST_BASE; base <= LAST_BASE; base += BASE_STEP)
		if (is_signature(cpuid(base, 0), signature))
			return base;
	return 0;
}

static bool has_leaf(cpuid_fn *cpuid, u32 base, u32 leaf)
{
	return cpuid(base, 0).eax >= base + leaf;
}

u64 tsc_hz_by_hypervisor(cpuid_fn *cpuid)
{
	static const char *const with_timing_leaf[] = {"KVMKVMKVM\0\0\0", "VMwareVMware",
						       "TCGTCGTCGTCG"};
	u32 base;

	for (unsigned i = 0; i < ARRAY_SIZE(with_timing_leaf); i++) {
		base = find_base(cpuid, with_timing_leaf[i]);
		if (base && has_leaf(cpuid, base, TIMING_LEAF))
			return cpuid(base + TIMING_LEAF, 0).eax * 1000UL;
	}
	base = find_base(cpuid, "XenVMMXenVMM");
	if (base && has_leaf(cpuid, base, XEN_TIME_LEAF))
		return cpuid(base + XEN_TIME_LEAF, 0).ecx * 1000UL;
	return 0;
}

u64 tsc_hz_by_crystal(cpuid_fn *cpuid)
{
	struct cpuid_regs r;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	return r.eax ? (u64)r.ecx * r.ebx / r.eax : 0;
}

u64 tsc_hz_by_base_frequency(cpuid_fn *cpuid)
{
	return cpuid(0, 0).eax < 0x16 ? 0 : (cpuid(0x16, 0).eax & 0xffff) * 1000000UL;
}

u32 kvm_clock_msr(cpuid_fn *cpuid)
{
	u32 base = find_base(cpuid, "KVMKVMKVM\0\0\0");

	if (!base || !(cpuid(base + KVM_FEATURES, 0).eax & KVM_FEATURE_CLOCKSOURCE2))
		return 0;
	return MSR_KVM_SYSTEM_TIME_NEW;
}

u64 pvclock_hz(u32 mul, s8 shift)
{
	u64 hz = mul ? (1000000000UL << 32) / mul : 0;

	return shift < 0 ? hz << -shift : hz >> shift;
}

u64 pvclock_ticks_to_ns(s64 ticks, u32 mul, s8 shift)
{
	u64 n = max(ticks, 0L);

	n = shift < 0 ? n >> -shift : n << shift;
	return (unsigned __int128)n * mul >> 32;
}
