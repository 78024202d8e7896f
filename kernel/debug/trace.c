/*
 * Recording and printing the trace; the contract is in trace.h.
 */
#include "kernel/debug/trace.h"

#include "kernel/arch/current.h"
#include "kernel/arch/io.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/atomic.h"
#include "kernel/lib/string.h"

bool trace_prints_all;

#ifdef CONFIG_DEBUG

#define RING_SIZE 1024 /* a power of two */

struct trace_ring {
	u32 taken; /* slots, ever */
	struct trace_event event[RING_SIZE];
};
static DEFINE_PER_CPU(struct trace_ring, trace_ring);
static bool recording; /* not before there are tasks */

static struct {
	u64 order, acquisitions;
} locks;

static const char *const trace_kind_names[NR_TRACE_KINDS] = {
#define X(kind, name) [TRACE_##kind] = name,
	TRACE_KINDS(X)
#undef X
};

void trace(enum trace_kind kind, u64 context, u64 addr, u64 value)
{
	struct trace_ring *ring;
	u32 slot;

	if (!READ_ONCE(recording))
		return;
	preempt_disable();
	ring = this_cpu_ptr(trace_ring);
	slot = __atomic_fetch_add(&ring->taken, 1, __ATOMIC_RELAXED);
	ring->event[slot % RING_SIZE] = (struct trace_event){
		.when = rdtsc(),
		.context = context,
		.addr = addr,
		.value = value,
		.tid = current_head()->tid,
		.kind = kind,
		.cpu = smp_processor_id(),
	};
	preempt_enable();
}

void trace_switch(const struct task_head *next, u64 context)
{
	u64 name;

	memcpy(&name, next->name, sizeof(name));
	trace(TRACE_SWITCH, context, name, next->tid);
}

/* One number for the sequence of tasks so far: each step mixes the next one in (FNV-1a's way). */
void trace_lock_taken(void)
{
	u64 old = READ_ONCE(locks.order), next;

	do
		next = (old ^ current_head()->tid) * 0x100000001b3UL;
	while (!try_cmpxchg(&locks.order, &old, next));
	__atomic_fetch_add(&locks.acquisitions, 1, __ATOMIC_RELAXED);
}

void trace_start(void)
{
	WRITE_ONCE(recording, true);
}

void trace_stop(void)
{
	WRITE_ONCE(recording, false);
}

/* --- choosing --- */

/*
 * Among the @n of @out, which are in order, @e takes its place; if they are @max, the oldest goes.
 */
static unsigned insert(struct trace_event *out, unsigned n, unsigned max,
		       const struct trace_event *e)
{
	unsigned at = n;

	while (at && out[at - 1].when > e->when)
		at--;
	if (n < max) {
		memmove(out + at + 1, out + at, (n - at) * sizeof(*out));
		out[at] = *e;
		return n + 1;
	}
	if (at) {
		memmove(out, out + 1, (at - 1) * sizeof(*out));
		out[at - 1] = *e;
	}
	return n;
}

unsigned trace_collect(trace_filter wants, const void *arg, struct trace_event *out, unsigned max)
{
	unsigned n = 0;

	for_each_online_cpu(cpu) {
		const struct trace_ring *ring = per_cpu_ptr(trace_ring, cpu);

		for (u32 i = 0; i < min(ring->taken, (u32)RING_SIZE); i++)
			if (wants(&ring->event[i], arg))
				n = insert(out, n, max, &ring->event[i]);
	}
	return n;
}

/* --- printing --- */

static void print_event(const struct trace_event *e, u64 last)
{
	char what[48];

	if (e->kind == TRACE_SWITCH)
		snprintf(what, sizeof(what), "to task %lu %.8s", e->value, (const char *)&e->addr);
	else
		snprintf(what, sizeof(what), "%lx %lx", e->addr, e->value);
	printk("    #   %lu before: cpu %u task %u mm %lu %s %s\n", last - e->when, e->cpu, e->tid,
	       e->context, trace_kind_names[e->kind], what);
}

void trace_print(const struct trace_event *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		print_event(e + i, e[n - 1].when);
}

static bool is_any(const struct trace_event *e __unused, const void *arg __unused)
{
	return true;
}

static void report_recent(const struct panic_context *unused __unused)
{
	struct trace_event e[TRACE_SHOWN];
	unsigned n = trace_collect(is_any, NULL, e, TRACE_SHOWN);

	printk("    # the last %u events, with TSC ticks before the last:\n", n);
	trace_print(e, n);
	trace_report();
}
PANIC_REPORT(70, report_recent);

/*
 * For ./pteron trace (tests/harness/trace.py): how many events the ring of @cpu has lost, then one
 * a line, in order.
 */
static void print_ring(const struct trace_ring *ring, unsigned cpu)
{
	u32 n = ring->taken;

	printk("# trace lost %u %u\n", cpu, n - min(n, (u32)RING_SIZE));
	for (u32 i = n - min(n, (u32)RING_SIZE); i != n; i++) {
		const struct trace_event *e = &ring->event[i % RING_SIZE];

		printk("# trace %u %lu %u %s %lu %lx %lx\n", e->cpu, e->when, e->tid,
		       trace_kind_names[e->kind], e->context, e->addr, e->value);
	}
}

void trace_report(void)
{
	printk("# lock order %016lx after %lu acquisitions\n", locks.order, locks.acquisitions);
	if (!trace_prints_all)
		return;
	trace_stop();
	for_each_online_cpu(cpu)
		print_ring(per_cpu_ptr(trace_ring, cpu), cpu);
}

#endif
