/*
 * Recording the trace, and the histories of reports; the contract is in trace.h.
 */
#include "kernel/debug/trace.h"

#include "kernel/arch/current.h"
#include "kernel/arch/io.h"
#include "kernel/arch/percpu.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/atomic.h"
#include "kernel/lib/string.h"

bool trace_prints_all;

#ifdef CONFIG_DEBUG

struct trace_ring {
	struct trace_event *event;
	u64 taken; /* slots, ever */
	u32 size;
};
static DEFINE_PER_CPU(struct trace_ring, trace_ring);
static bool recording; /* not before there are tasks */
static u64 began;      /* when it was first recorded */

static struct {
	u64 order, acquisitions;
} locks;

enum value_form {
	NUMBER,
	TEXT,
	SYMBOL,
};

static const struct {
	const char *name;
	enum value_form form;
} trace_kinds[NR_TRACE_KINDS] = {
#define X(kind, name, form) [TRACE_##kind] = {name, form},
	TRACE_KINDS(X)
#undef X
};

void trace_give_ring(unsigned cpu, struct trace_event *ring, u32 events)
{
	*per_cpu_ptr(trace_ring, cpu) = (struct trace_ring){.event = ring, .size = events};
}

/* @e, which wants its time and its CPU. */
static void record(struct trace_event e)
{
	struct trace_ring *ring;
	u64 slot;

	preempt_disable();
	ring = this_cpu_ptr(trace_ring);
	slot = __atomic_fetch_add(&ring->taken, 1, __ATOMIC_RELAXED);
	e.when = rdtsc();
	e.cpu = smp_processor_id();
	if (likely(ring->size))
		ring->event[slot % ring->size] = e;
	preempt_enable();
}

/* Early on Xen there is no current task yet. */
void trace(enum trace_kind kind, u64 context, u64 addr, u64 value)
{
	if (!READ_ONCE(recording))
		return;
	record((struct trace_event){
		.context = context,
		.addr = addr,
		.value = value,
		.tid = current_head()->tid,
		.kind = kind,
	});
}

void trace_switch(const struct task_head *next, u64 context)
{
	struct trace_event e = {.kind = TRACE_SWITCH, .context = context, .tid = next->tid};

	if (!READ_ONCE(recording))
		return;
	memcpy(&e.addr, next->name, sizeof(e.addr));
	memcpy(&e.value, next->name + sizeof(e.addr), sizeof(e.value));
	record(e);
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
	if (!began)
		began = rdtsc();
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

		for (u64 i = 0; i < min(ring->taken, (u64)ring->size); i++)
			if (wants(&ring->event[i], arg))
				n = insert(out, n, max, &ring->event[i]);
	}
	return n;
}

u64 trace_taken(unsigned cpu, u32 *size)
{
	*size = per_cpu(trace_ring, cpu).size;
	return per_cpu(trace_ring, cpu).taken;
}

const struct trace_event *trace_nth(unsigned cpu, u64 nth)
{
	const struct trace_ring *ring = per_cpu_ptr(trace_ring, cpu);

	return &ring->event[nth % ring->size];
}

/* --- printing --- */

const char *trace_kind_name(enum trace_kind kind)
{
	return trace_kinds[kind].name;
}

const char *trace_words(const struct trace_event *e, char *buf, size_t size)
{
	switch (trace_kinds[e->kind].form) {
	case TEXT:
		return (const char *)e->value;
	case SYMBOL:
		symbol_name(e->value, buf, size);
		return buf;
	default:
		return NULL;
	}
}

static void print_event(const struct trace_event *e, u64 last)
{
	char what[80], buf[48];
	const char *words = trace_words(e, buf, sizeof(buf));

	if (e->kind == TRACE_SWITCH)
		snprintf(what, sizeof(what), "to %.8s%.8s", (const char *)&e->addr,
			 (const char *)&e->value);
	else if (words)
		snprintf(what, sizeof(what), "%lx %s", e->addr, words);
	else
		snprintf(what, sizeof(what), "%lx %lx", e->addr, e->value);
	printk("    #   %lu before: cpu %u task %u mm %lu %s %s\n", last - e->when, e->cpu, e->tid,
	       e->context, trace_kind_name(e->kind), what);
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

void trace_report(void)
{
	printk("# lock order %016lx after %lu acquisitions\n", locks.order, locks.acquisitions);
	if (!trace_prints_all)
		return;
	trace_stop();
	trace_dump(began);
}

#endif
