/*
 * Xen PV: interrupts are event channels; masking, pending bits and the time are in shared memory.
 * Sources: Xen's public/event_channel.h, public/xen.h (struct vcpu_info), public/vcpu.h.
 *
 * Each vCPU has four ports: three IPIs and the timer. Its handlers run with events masked, in the
 * order of the ports, so that the timer's finds done whatever an IPI has asked for, as natively,
 * where the IPIs have the higher vectors.
 */
#include "kernel/arch/io.h"
#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/entry/traps.h"
#include "kernel/time/clock.h"
#include "kernel/time/clock_cpuid.h"
#include "mm/types/addr.h"
#include "pv/pv_ops.h"
#include "pv/xen/xen.h"

enum { PORT_RESCHED, PORT_CALL, PORT_KICK, PORT_TIMER, NR_PORTS };
static const u8 port_vector[NR_PORTS] = {VECTOR_RESCHED, VECTOR_CALL, VECTOR_KICK, VECTOR_TIMER};

static u32 ports[XEN_MAX_VCPUS][NR_PORTS];
static u8 vector_of_port[4096];
/* What Xen and this vCPU tell each other: register_vcpu_info(). Within one page. */
static DEFINE_PER_CPU(struct vcpu_info, vcpu) __aligned(sizeof(struct vcpu_info));
/* The ports of this vCPU: the pending bits of all vCPUs lie in the same words. */
static DEFINE_PER_CPU(u64, own_ports[ARRAY_SIZE(vector_of_port) / 64]);

void xen_upcall(struct pt_regs *regs);

/* Of immediates and memory alone: a register that an op uses it must save first. */
#define set_event_mask(on)                                                                         \
	__asm__ volatile("movb %1, %%gs:%0" : "=m"(vcpu.evtchn_upcall_mask) : "i"(on) : "memory")

static __always_inline bool is_event_pending(void)
{
	bool pending;

	__asm__ volatile("cmpb $0, %%gs:%1" : "=@ccnz"(pending) : "m"(vcpu.evtchn_upcall_pending));
	return pending;
}

/*
 * The mask is read, or changed, by one instruction: between two the task could leave its vCPU. With
 * preemption off instead, an interrupt could come that wants another task; and then nobody would
 * look for that wish again.
 */
__callee_save static unsigned long xen_save_fl(void)
{
	return this_cpu_read(vcpu.evtchn_upcall_mask) ? 0 : BIT(9);
}

__callee_save static void xen_irq_disable(void)
{
	set_event_mask(1);
}

/* Any hypercall delivers what is pending on its way back. It keeps what its caller has to keep. */
__callee_save static __noinline void deliver_pending(void)
{
	hypercall(__HYPERVISOR_xen_version, 0, 0, 0, 0);
}

__callee_save static void xen_irq_enable(void)
{
	/*
	 * With the mask off a task may migrate at any moment; what was pending here has come then.
	 */
	set_event_mask(0);
	if (unlikely(is_event_pending()))
		deliver_pending();
}

static void xen_safe_halt(void)
{
	xen_check("block", xen_sched_op(SCHEDOP_block, NULL));
}

static void xen_lock_wait(const u16 *head, u16 ticket)
{
	if (this_cpu_read(vcpu.evtchn_upcall_mask)) { /* preemption is off */
		xen_sched_op(SCHEDOP_yield, NULL);
		return;
	}
	xen_irq_disable();
	/* Not if another task is wanted here: it may be the lock's holder. */
	if (READ_ONCE(*head) != ticket && !need_resched())
		xen_safe_halt(); /* unmasks */
	else
		xen_irq_enable();
}

static void xen_send_ipi(unsigned cpu, u8 vector)
{
	struct evtchn_send send = {0};

	count(CNT_IPIS);
	trace(TRACE_IPI, 0, cpu, vector);
	for (unsigned i = 0; i < PORT_TIMER; i++)
		if (port_vector[i] == vector)
			send.port = ports[cpu][i];
	if (send.port)
		xen_check("an IPI", xen_event_channel_op(EVTCHNOP_send, &send));
}

static void xen_lock_kick(unsigned cpu)
{
	xen_send_ipi(cpu, VECTOR_KICK);
}

/*
 * Xen keeps it up to date whenever it begins or ends to run the vCPU (public/vcpu.h); but what it
 * cannot write while user mode's tables are loaded, it writes at the next entry to the kernel.
 */
static DEFINE_PER_CPU(struct vcpu_runstate_info, runstate);

static bool xen_cpu_is_preempted(unsigned cpu)
{
	return READ_ONCE(per_cpu(runstate, cpu).state) != RUNSTATE_running;
}

static void register_runstate(unsigned cpu)
{
	struct vcpu_register_runstate_memory_area area = {.addr.v = per_cpu_ptr(runstate, cpu)};

	xen_check("the run state", xen_vcpu_op(VCPUOP_register_runstate_memory_area, cpu, &area));
}

static void xen_eoi(void) {}

static __callee_save unsigned long xen_read_cr2(void)
{
	return this_cpu_read(vcpu.arch.cr2);
}

/*
 * Xen makes a version odd, changes what it counts, and makes it even again (xen.h). The page of
 * this vCPU it changes while the vCPU does not run, the wall clock while dom0 sets it: to look
 * twice is rare, and so often means that the page is not Xen's.
 */
#define CLOCK_LOOKS_MAX 1000000

static bool is_torn(u32 before, const volatile u32 *version, u32 *looks)
{
	if (++*looks > CLOCK_LOOKS_MAX)
		panic("xen: a clock's page changes at each look, from version %u to %u", before,
		      *version);
	return (before & 1) || before != *version;
}

/* Xen's clock: nanoseconds since Xen's boot, from the page that it keeps up to date (xen.h). */
static u64 read_time_page(void)
{
	const volatile struct vcpu_time_info *t;
	u64 ns;
	u32 version, looks = 0;

	preempt_disable();
	t = &this_cpu_ptr(vcpu)->time;
	do {
		version = t->version;
		barrier();
		ns = t->system_time + pvclock_ticks_to_ns(rdtsc() - t->tsc_timestamp,
							  t->tsc_to_system_mul, t->tsc_shift);
		barrier();
	} while (is_torn(version, &t->version, &looks));
	preempt_enable();
	return ns;
}

/*
 * Xen calibrates each physical CPU by itself, so the pages of two vCPUs may differ by a little.
 * Time goes on for all: who reads less than another has read is told what that one was (as Linux's
 * pvclock_clocksource_read() does where the host does not vouch for its TSCs). A page that is far
 * behind would stop all clocks, and whoever waits by them; it is read last, so it is no older.
 */
#define CLOCKS_DIFFER_MAX (10 * NS_PER_S)

u64 xen_clock_ns(void)
{
	static u64 latest;
	u64 seen = READ_ONCE(latest), now = read_time_page();

	if (seen > now + CLOCKS_DIFFER_MAX)
		panic("xen: the clock of CPU %u is at %lu ns, another CPU's was at %lu",
		      smp_processor_id(), now, seen);
	while (now > seen)
		if (try_cmpxchg(&latest, &seen, now))
			return now;
	return seen;
}

/* When Xen's clock was 0, in nanoseconds since 1970 (xen.h: wc_version). Dom0 may be setting it. */
static u64 read_wall_clock(void)
{
	const volatile struct shared_info *si = xen_shared_info;
	u32 version, looks = 0;
	u64 ns;

	do {
		version = si->wc_version;
		barrier();
		ns = ((u64)si->xen_wc_sec_hi << 32 | si->wc_sec) * NS_PER_S + si->wc_nsec;
		barrier();
	} while (is_torn(version, &si->wc_version, &looks));
	return ns;
}

void xen_clock_init(void)
{
	const struct vcpu_time_info *t = &this_cpu_ptr(vcpu)->time;

	clock_set_tsc_hz(pvclock_hz(t->tsc_to_system_mul, t->tsc_shift), "Xen's time page");
	clock_set_epoch(read_wall_clock());
}

static void xen_set_timer(u64 ns)
{
	struct vcpu_set_singleshot_timer timer = {.timeout_abs_ns = read_time_page() + ns};

	xen_check("the timer",
		  xen_vcpu_op(VCPUOP_set_singleshot_timer, smp_processor_id(), &timer));
}

static void handle_ports(const struct pt_regs *regs, u64 *word, unsigned first)
{
	u64 pending = READ_ONCE(*word) & ~READ_ONCE(xen_shared_info->evtchn_mask[first / 64]) &
		      this_cpu_ptr(own_ports)[0][first / 64];

	for (; pending; pending &= pending - 1) {
		unsigned port = first + __builtin_ctzll(pending);

		clear_bit_atomic((u64 *)xen_shared_info->evtchn_pending, port);
		if (vector_of_port[port])
			handle_vector(regs, vector_of_port[port]);
	}
}

/* All that is pending for this vCPU; then, as after any interrupt, perhaps another task. */
void xen_upcall(struct pt_regs *regs)
{
	struct vcpu_info *v = this_cpu_ptr(vcpu);

	assert_entered(regs, ENTERED_IRQS_OFF);
	while (v->evtchn_upcall_pending) {
		u64 words;

		WRITE_ONCE(v->evtchn_upcall_pending, 0);
		words = xchg(&v->evtchn_pending_sel, 0);
		for (; words; words &= words - 1) {
			unsigned w = __builtin_ctzll(words);

			handle_ports(regs, (u64 *)&xen_shared_info->evtchn_pending[w], w * 64);
		}
	}
	interrupt_end(regs);
}

static u32 bind(unsigned cpu, unsigned i)
{
	struct evtchn_bind_virq virq = {.virq = VIRQ_TIMER, .vcpu = cpu};
	struct evtchn_bind_ipi ipi = {.vcpu = cpu};
	long err = i == PORT_TIMER ? xen_event_channel_op(EVTCHNOP_bind_virq, &virq)
				   : xen_event_channel_op(EVTCHNOP_bind_ipi, &ipi);
	u32 port = i == PORT_TIMER ? virq.port : ipi.port;

	if (err)
		panic("xen: event channel %u of CPU %u: error %ld", i, cpu, err);
	return port;
}

/*
 * Of this vCPU, or one that is not up: @info, at @pa, takes the place of its part of the shared
 * page, which Xen copies; and all its ports are to be looked at once. From there on the mask is
 * ours.
 */
static void register_vcpu_info(unsigned cpu, struct vcpu_info *info, paddr_t pa)
{
	struct vcpu_register_vcpu_info where = {
		.mfn = xen_p2m[pa >> PAGE_SHIFT],
		.offset = pa & ~PAGE_MASK,
	};

	xen_check("the vCPU's page", xen_vcpu_op(VCPUOP_register_vcpu_info, cpu, &where));
	WRITE_ONCE(info->evtchn_upcall_mask, 1);
}

void xen_irq_prepare_cpu(unsigned cpu)
{
	struct vcpu_info *info = per_cpu_ptr(vcpu, cpu);

	register_vcpu_info(cpu, info, __pa(info));
}

void xen_irq_init_cpu(unsigned cpu)
{
	for (unsigned i = 0; i < NR_PORTS; i++) {
		u32 port = bind(cpu, i);

		ports[cpu][i] = port;
		BUG_ON(port >= ARRAY_SIZE(vector_of_port));
		BUG_ON(i && port < ports[cpu][i - 1]); /* Xen gives the first that is free */
		vector_of_port[port] = port_vector[i];
		per_cpu(own_ports, cpu)[port / 64] |= BIT(port % 64);
		clear_bit_atomic((u64 *)xen_shared_info->evtchn_mask, port);
	}
	xen_check("the end of the periodic timer",
		  xen_vcpu_op(VCPUOP_stop_periodic_timer, cpu, NULL));
	register_runstate(cpu);
}

void xen_irq_setup(void)
{
	register_vcpu_info(0, &vcpu, __pa_symbol(&vcpu)); /* in the image */
	pv_ops.irq.save_fl = xen_save_fl;
	pv_ops.irq.irq_disable = xen_irq_disable;
	pv_ops.irq.irq_enable = xen_irq_enable;
	pv_ops.irq.safe_halt = xen_safe_halt;
	pv_ops.mmu.read_cr2 = xen_read_cr2;
	pv_ops.lock.wait = xen_lock_wait;
	pv_ops.lock.kick = xen_lock_kick;
	pv_ops.lock.cpu_is_preempted = xen_cpu_is_preempted;
	pv_ops.smp.send_ipi = xen_send_ipi;
	pv_ops.smp.eoi = xen_eoi;
	pv_ops.smp.set_timer = xen_set_timer;
	pv_ops.smp.clock_ns = xen_clock_ns;
}
