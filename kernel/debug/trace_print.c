/*
 * The whole trace on the console, for ./pteron trace (tests/harness/trace_lines.py reads it).
 *
 * A console is slow and a trace is long: so an event is one word that holds only what differs from
 * the event of the same CPU before it. Each line begins with "# trace":
 *
 *	began TSC               when it was first recorded
 *	kind N NAME             what an event of the kind N is
 *	text ADDRESS WORDS      what a value means, of those that are texts or functions
 *	task TID NAME           a task that runs now: its switch may be lost
 *	ring CPU LOST KEPT      the events of a CPU follow, and how many older ones it had
 *	= EVENT...              'A' + kind, then in hexadecimal what passed since the event before,
 *	                        and what its address, value, mm and task are, each exclusive-or that
 *	                        of the event before; commas between, and what is 0 is left out
 *	end                     nothing was cut off
 *
 * A line has less than 127 bytes, which Xen's console prints in one piece. No locks: nothing
 * records, and one CPU prints.
 */
#include "kernel/arch/current.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

#ifdef CONFIG_DEBUG

#define LINE_MAX 112  /* bytes of events */
#define EVENT_MAX 88  /* a blank, the kind, and five numbers of 16 digits with commas between */
#define TEXTS_MAX 128 /* beyond it a text may be told twice */

static struct {
	char text[LINE_MAX + EVENT_MAX];
	unsigned n;
} events_line;

static void print_events(unsigned n)
{
	if (n)
		printk("# trace =%.*s\n", (int)n, events_line.text);
	memmove(events_line.text, events_line.text + n, events_line.n - n);
	events_line.n -= n;
}

static char *put_hex(char *at, u64 v)
{
	for (int shift = 60 - __builtin_clzll(v | 1) / 4 * 4; shift >= 0; shift -= 4)
		*at++ = "0123456789abcdef"[v >> shift & 15];
	return at;
}

static void put_event(const struct trace_event *e, const struct trace_event *last)
{
	const u64 field[] = {e->addr ^ last->addr, e->value ^ last->value,
			     e->context ^ last->context, e->tid ^ last->tid};
	unsigned before = events_line.n, blank = 0;
	char *at = events_line.text + before;

	*at++ = ' ';
	*at++ = 'A' + e->kind;
	at = put_hex(at, e->when - last->when);
	for (unsigned i = 0; i < ARRAY_SIZE(field); i++) {
		blank++;
		if (!field[i])
			continue;
		for (; blank; blank--)
			*at++ = ',';
		at = put_hex(at, field[i]);
	}
	events_line.n = at - events_line.text;
	if (events_line.n > LINE_MAX)
		print_events(before);
}

static void print_ring(unsigned cpu)
{
	struct trace_event last = {0};
	u32 size;
	u64 taken = trace_taken(cpu, &size), kept = min(taken, (u64)size);

	printk("# trace ring %u %lu %lu\n", cpu, taken - kept, kept);
	for (u64 i = taken - kept; i < taken; i++) {
		put_event(trace_nth(cpu, i), &last);
		last = *trace_nth(cpu, i);
	}
	print_events(events_line.n);
}

/* Whether @value is none of the @n in @told, of which it is one from now on if there is room. */
static bool is_new(u64 value, u64 told[TEXTS_MAX], unsigned *n)
{
	for (unsigned i = 0; i < *n; i++)
		if (told[i] == value)
			return false;
	if (*n < TEXTS_MAX)
		told[(*n)++] = value;
	return true;
}

static void print_texts(unsigned cpu, u64 told[TEXTS_MAX], unsigned *n)
{
	u32 size;
	u64 taken = trace_taken(cpu, &size);
	char buf[64];

	for (u64 i = taken - min(taken, (u64)size); i < taken; i++) {
		const struct trace_event *e = trace_nth(cpu, i);
		const char *words = trace_words(e, buf, sizeof(buf));

		if (words && is_new(e->value, told, n))
			printk("# trace text %lx %s\n", e->value, words);
	}
}

void trace_dump(u64 began)
{
	u64 told[TEXTS_MAX];
	unsigned n = 0;

	printk("# trace began %lu\n", began);
	for (unsigned i = 0; i < NR_TRACE_KINDS; i++)
		printk("# trace kind %u %s\n", i, trace_kind_name(i));
	for_each_online_cpu(cpu) {
		const struct task_head *t = (const struct task_head *)per_cpu(current_task, cpu);

		printk("# trace task %d %s\n", t->tid, t->name);
		print_texts(cpu, told, &n);
	}
	for_each_online_cpu(cpu)
		print_ring(cpu);
	printk("# trace end\n");
}

#endif
