/*
 * Hypercalls of a 64-bit PV guest: number in rax, arguments in rdi, rsi, rdx, r10, by SYSCALL from
 * kernel mode (Xen's public/arch-x86/xen-x86_64.h). A debug Xen overwrites the argument registers.
 *
 * Each is counted. The result is 0 or a negative Xen error number.
 */
#pragma once

#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/meter.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/types.h"

#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/event_channel.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/vcpu.h>

static inline long hypercall(unsigned nr, u64 a, u64 b, u64 c, u64 d)
{
	/* First: a call would not leave r10 alone. */
	count(CNT_HYPERCALLS);
	trace(TRACE_HYPERCALL, 0, a, nr);
	u64 start = meter_start();

	register u64 r10 __asm__("r10") = d;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
			 : "a"((u64)nr)
			 : "rcx", "r8", "r9", "r11", "memory");
	if (nr != __HYPERVISOR_sched_op)
		meter_stop(start);
	return ret;
}

/* A call that cannot fail but by a bug: say which did. */
void xen_check(const char *what, long err);

/*
 * Xen may stop such a call to let an event in, and have it go on by another trap: on the same vCPU,
 * so the task must not migrate.
 */
static inline void assert_may_continue(void)
{
	ASSERT(preempt_count() > 0 || irqs_disabled());
}

static inline long xen_mmu_update(const struct mmu_update *req, unsigned n, unsigned *done)
{
	if (n > 1) /* Xen looks for events between two updates */
		assert_may_continue();
	count(CNT_MMU_UPDATES);
	count_n(CNT_MMU_UPDATE_ENTRIES, n);
	return hypercall(__HYPERVISOR_mmu_update, (u64)req, n, (u64)done, DOMID_SELF);
}

static inline long xen_mmuext_op(const struct mmuext_op *op, unsigned n)
{
	assert_may_continue();
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

/*
 * Calls for a multicall, which is one trap for several of them, in order; each has its own result.
 * Nothing else is left of an entry afterwards: Xen overwrites it when it continues a call.
 */
static inline struct multicall_entry xen_call_mmu_update(const struct mmu_update *req, unsigned n,
							 unsigned *done)
{
	count(CNT_MMU_UPDATES);
	count_n(CNT_MMU_UPDATE_ENTRIES, n);
	return (struct multicall_entry){.op = __HYPERVISOR_mmu_update,
					.args = {(u64)req, n, (u64)done, DOMID_SELF}};
}

static inline struct multicall_entry xen_call_mmuext_op(const struct mmuext_op *op, unsigned n)
{
	return (struct multicall_entry){.op = __HYPERVISOR_mmuext_op,
					.args = {(u64)op, n, 0, DOMID_SELF}};
}

static inline struct multicall_entry xen_call_update_va_mapping(unsigned long va, u64 pte,
								unsigned long flags)
{
	return (struct multicall_entry){.op = __HYPERVISOR_update_va_mapping,
					.args = {va, pte, flags}};
}

/* Make @n calls in one trap, or a single one: then without the multicall's own cost. */
static inline void xen_multicall(struct multicall_entry *calls, unsigned n)
{
	if (n == 1) {
		calls->result = hypercall(calls->op, calls->args[0], calls->args[1], calls->args[2],
					  calls->args[3]);
	} else if (n) {
		count(CNT_MULTICALLS);
		BUG_ON(hypercall(__HYPERVISOR_multicall, (u64)calls, n, 0, 0));
	}
}
