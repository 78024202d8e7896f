/*
 * Hypercalls of a 64-bit PV guest: number in rax, arguments in rdi, rsi, rdx, r10, by SYSCALL from
 * kernel mode (Xen's public/arch-x86/xen-x86_64.h). A debug Xen overwrites the argument registers.
 *
 * Each is counted. The result is 0 or a negative Xen error number.
 */
#pragma once

#include "kernel/counters.h"
#include "kernel/types.h"

#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static inline long hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r10 __asm__("r10") = d;
	long ret;

	count(CNT_HYPERCALLS);
	__asm__ volatile("syscall"
			 : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
			 : "a"((u64)nr)
			 : "rcx", "r8", "r9", "r11", "memory");
	return ret;
}

static inline long xen_mmu_update(const struct mmu_update *req, unsigned n, unsigned *done)
{
	return hypercall(__HYPERVISOR_mmu_update, (u64)req, n, (u64)done, DOMID_SELF);
}

static inline long xen_mmuext_op(const struct mmuext_op *op, unsigned n)
{
	return hypercall(__HYPERVISOR_mmuext_op, (u64)op, n, 0, DOMID_SELF);
}

static inline long xen_update_va_mapping(unsigned long va, u64 pte, unsigned long flags)
{
	return hypercall(__HYPERVISOR_update_va_mapping, va, pte, flags, 0);
}

static inline long xen_sched_op(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_sched_op, cmd, (u64)arg, 0, 0);
}

static inline long xen_vcpu_op(unsigned cmd, unsigned vcpu, void *arg)
{
	return hypercall(__HYPERVISOR_vcpu_op, cmd, vcpu, (u64)arg, 0);
}

static inline long xen_event_channel_op(unsigned cmd, void *arg)
{
	return hypercall(__HYPERVISOR_event_channel_op, cmd, (u64)arg, 0, 0);
}

static inline long xen_set_segment_base(unsigned which, unsigned long base)
{
	return hypercall(__HYPERVISOR_set_segment_base, which, base, 0, 0);
}
