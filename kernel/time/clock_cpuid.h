/*
 * How fast the TSC is, as the CPU or the hypervisor says. Pure code: tests bring a CPUID of their
 * own. No locks.
 */
#pragma once

#include "kernel/arch/io.h"
#include "kernel/lib/types.h"

typedef struct cpuid_regs cpuid_fn(u32 leaf, u32 subleaf);

/* By a leaf of the hypervisor's, in Hz; 0: none says it. */
u64 tsc_hz_by_hypervisor(cpuid_fn *cpuid);
/* By leaf 0x15, from the core crystal, in Hz; 0 if it does not say. */
u64 tsc_hz_by_crystal(cpuid_fn *cpuid);
/* By leaf 0x16, in Hz, rounded to a MHz by the processor; 0 if it does not say. */
u64 tsc_hz_by_base_frequency(cpuid_fn *cpuid);
/* The MSR of KVM's clock, MSR_KVM_SYSTEM_TIME_NEW, if there is one; else 0. */
u32 kvm_clock_msr(cpuid_fn *cpuid);

/*
 * What KVM and Xen tell the guest of the time (Linux's pvclock-abi.h, Xen's struct vcpu_time_info).
 */
struct pvclock_time_info {
	u32 version; /* odd while it is written */
	u32 pad0;
	u64 tsc_timestamp, system_time;
	u32 tsc_to_system_mul;
	s8 tsc_shift;
	u8 flags, pad[2];
};

/* The Hz in which ((ticks << shift) * mul) >> 32 gives nanoseconds; 0 if @mul is 0. */
u64 pvclock_hz(u32 mul, s8 shift);
/*
 * ((@ticks << @shift) * @mul) >> 32, in ns. 0 if @ticks is negative: a TSC may be a little behind
 * the stamp that it is compared with (get_s_time_fixed() in Xen's arch/x86/time.c expects it).
 */
u64 pvclock_ticks_to_ns(s64 ticks, u32 mul, s8 shift);
