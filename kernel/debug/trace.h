/*
 * The trace: what each CPU did last, for whoever has to explain a failure. Debug builds only.
 *
 * A ring per CPU holds the changes of user page-table entries, the faults, invalidations, batches,
 * hypercalls and context switches. A panic prints the last events of all CPUs; an oracle that finds
 * a page wrong prints that page's own: those of its address, and of its frame in any address space.
 * `trace=on` prints all of it at the end, and `./pteron trace` makes a picture of that.
 *
 * Beside it, the order in which tasks took the locks of PTE pages is kept as one number: two runs
 * with the same number went the same way.
 *
 * No locks: a slot is taken by one atomic addition, and belongs to the CPU. What is printed while
 * other CPUs go on may have been overwritten; so the first finding of an audit stops the recording.
 * A program can have a history printed, but not stop anything.
 */
#pragma once

#include "kernel/lib/types.h"

struct task_head;

/* clang-format off */
/*        kind       name          addr                value                     */
#define TRACE_KINDS(X)                                                            \
	X(SET,       "set_pte")     /* of the page         the new entry             */ \
	X(CLEAR,     "clear_pte")   /* of the page         what the entry held       */ \
	X(MODIFY,    "modify_pte")  /* of the page         the new entry             */ \
	X(TABLE,     "set_table")   /* first it covers     the new L2 entry          */ \
	X(FAULT,     "fault")       /* accessed            the error code            */ \
	X(FAULT_END, "fault_end")   /* accessed            enum fault_result         */ \
	X(OWE,       "owe_flush")   /* first               the end of the range      */ \
	X(FLUSH,     "flush_tlb")   /* first               the end of the range      */ \
	X(BATCH,     "batch")       /* -                   how many updates          */ \
	X(HYPERCALL, "hypercall")   /* its first argument  its number                */ \
	X(SWITCH,    "switch")      /* the task's name     the task that runs now    */
/* clang-format on */

enum trace_kind {
#define X(kind, name) TRACE_##kind,
	TRACE_KINDS(X)
#undef X
		NR_TRACE_KINDS,
};

struct trace_event {
	u64 when;    /* TSC */
	u64 context; /* of the address space, as mm->tlb has it; 0: the kernel's */
	u64 addr, value;
	u32 tid;
	u8 kind;
	u16 cpu;
};

/* trace=on; fixed at boot. */
extern bool trace_prints_all;

#ifdef CONFIG_DEBUG

#define TRACE_SHOWN 24 /* events of one printed history, the newest */

/* Record an event; any context. @context: mm_context(), 0: of no address space. */
void trace(enum trace_kind kind, u64 context, u64 addr, u64 value);
/* @next, whose address space has @context, runs on this CPU from now on. */
void trace_switch(const struct task_head *next, u64 context);
/* The current task holds the lock of a PTE page. */
void trace_lock_taken(void);
/* Record, from the first task on; and again: each suite begins with it. */
void trace_start(void);
/* Record no more; for the kernel's own oracles, since it ends the recording of all. */
void trace_stop(void);
/* Which events are asked for. */
typedef bool (*trace_filter)(const struct trace_event *e, const void *arg);
/* Up to @max events that @wants(@arg), the newest, oldest first; how many there are in @out. */
unsigned trace_collect(trace_filter wants, const void *arg, struct trace_event *out, unsigned max);
/* Print @n events, with what passed from each to the last. */
void trace_print(const struct trace_event *e, unsigned n);
/* The order of locks; and with trace=on everything that is recorded, for ./pteron trace. */
void trace_report(void);

#else

static inline void trace(enum trace_kind kind __unused, u64 context __unused, u64 addr __unused,
			 u64 value __unused)
{
}
static inline void trace_switch(const struct task_head *next __unused, u64 context __unused) {}
static inline void trace_lock_taken(void) {}
static inline void trace_start(void) {}
static inline void trace_stop(void) {}
static inline void trace_report(void) {}

#endif
