/*
 * The trace: what each CPU did last, for whoever has to explain a failure. Debug builds only; a
 * release build has not even the calls.
 *
 * A ring per CPU holds the changes of user page-table entries, the faults, lazy sections, batches,
 * invalidations, cross-calls, interrupts, waits for locks, hypercalls and context switches. A panic
 * prints the last events of all CPUs; an oracle that finds a page wrong prints that page's own:
 * those of its address, and of its frame in any address space. `trace=on` prints all of it at the
 * end, and `./pteron trace` makes a picture of that (kernel/debug/trace_print.c). `ring=` is how
 * many events of each CPU are kept.
 *
 * Whether it is printed or not, the same is recorded: so a run that failed goes the same way again
 * with its trace.
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

/*
 * X's third argument says what the value is: a number, the address of a text that stays, or that of
 * a function. What a kind begins, the kind with _END ends; on one CPU these nest.
 */
/* clang-format off */
/*        kind           name              value is   addr                 value                  */
#define TRACE_KINDS(X)                                                                              \
	X(SET,           "set_pte",        NUMBER) /* of the page          the new entry          */ \
	X(CLEAR,         "clear_pte",      NUMBER) /* of the page          what the entry held    */ \
	X(MODIFY,        "modify_pte",     NUMBER) /* of the page          the new entry          */ \
	X(TABLE,         "set_table",      NUMBER) /* first it covers      the new L2 entry       */ \
	X(FAULT,         "page_fault",     NUMBER) /* accessed             the error code         */ \
	X(FAULT_END,     "page_fault_end", NUMBER) /* accessed             enum fault_result      */ \
	X(KILL,          "program_fault",  TEXT)   /* accessed             why it ends a program  */ \
	X(LAZY,          "lazy",           NUMBER) /* the outermost section                       */ \
	X(LAZY_END,      "lazy_end",       NUMBER)                                                   \
	X(PAUSE,         "lazy_pause",     NUMBER) /* of an active section                        */ \
	X(RESUME,        "lazy_resume",    NUMBER)                                                   \
	X(OWE,           "owe_flush",      NUMBER) /* first                the end of the range   */ \
	X(FLUSH,         "flush_tlb",      NUMBER) /* first                the end of the range   */ \
	X(FLUSH_END,     "flush_tlb_end",  NUMBER)                                                   \
	X(BATCH,         "batch",          NUMBER) /* -                    how many updates       */ \
	X(BATCH_END,     "batch_end",      NUMBER)                                                   \
	X(HYPERCALL,     "hypercall",      NUMBER) /* its first argument   its number             */ \
	X(CALL,          "call",           SYMBOL) /* how many CPUs        the function           */ \
	X(POST,          "post",           NUMBER) /* one of these CPUs                           */ \
	X(CALL_END,      "call_end",       NUMBER)                                                   \
	X(ANSWER,        "answer",         SYMBOL) /* the calling CPU      the function           */ \
	X(ANSWER_END,    "answer_end",     NUMBER)                                                   \
	X(IPI,           "ipi",            NUMBER) /* to which CPU         the vector             */ \
	X(INTERRUPT,     "interrupt",      NUMBER) /* where                the vector             */ \
	X(INTERRUPT_END, "interrupt_end",  NUMBER)                                                   \
	X(WAIT,          "lock_wait",      TEXT)   /* the lock             its class              */ \
	X(WAIT_END,      "lock_wait_end",  NUMBER) /* the lock                                    */ \
	X(PREEMPT,       "preempt",        NUMBER) /* where it goes on     its lazy state         */ \
	X(SWITCH,        "switch",         NUMBER) /* the name of the task that runs now, in both */ \
	X(SUITE,         "suite",          TEXT)   /* -                    its name               */ \
	X(SUITE_END,     "suite_end",      NUMBER)                                                   \
	X(CASE,          "case",           TEXT)   /* -                    its name               */ \
	X(CASE_END,      "case_end",       NUMBER)
/* clang-format on */

enum trace_kind {
#define X(kind, name, form) TRACE_##kind,
	TRACE_KINDS(X)
#undef X
		NR_TRACE_KINDS,
};

struct trace_event {
	u64 when;    /* TSC */
	u64 context; /* of the address space, as mm->tlb has it; 0: none is concerned */
	u64 addr, value;
	u32 tid; /* whose; of a switch, the task that runs now */
	u8 kind;
	u16 cpu;
};

#define TRACE_RING_DEFAULT 1024 /* events */

/* trace=on; fixed at boot. */
extern bool trace_prints_all;

#ifdef CONFIG_DEBUG

#define TRACE_SHOWN 24 /* events of one printed history, the newest */

/*
 * The ring of @cpu, of @events, whose memory is never given back. Before trace_start(), for each
 * CPU; without one a CPU records nothing.
 */
void trace_give_ring(unsigned cpu, struct trace_event *ring, u32 events);
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
/* How many events @cpu has recorded, of which its ring has the last; how large that is in @size. */
u64 trace_taken(unsigned cpu, u32 *size);
/* The @nth event that @cpu has recorded; it is still in the ring. */
const struct trace_event *trace_nth(unsigned cpu, u64 nth);
/* The kind's name. */
const char *trace_kind_name(enum trace_kind kind);
/* What @e's value is in words, in @buf or a text that stays; NULL: it is a number. */
const char *trace_words(const struct trace_event *e, char *buf, size_t size);
/* Print @n events, with what passed from each to the last. */
void trace_print(const struct trace_event *e, unsigned n);
/*
 * trace_print.c: all that is recorded, for ./pteron trace. Nothing records meanwhile. @began: the
 * TSC when it was first recorded.
 */
void trace_dump(u64 began);
/* The order of locks; and with trace=on trace_dump(). */
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
