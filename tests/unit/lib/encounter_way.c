/*
 * The stepped side's way: its instruction boundaries, as a first pass notes them.
 *
 * Later passes begin to step at the last boundary ahead of theirs whose instruction comes for the
 * first time there: a breakpoint finds it. Not in a function that the debug exception itself calls
 * ahead of its handler: that would come for ever.
 */
#include "kernel/debug/backtrace.h"
#include "kernel/entry/doors.h"
#include "kernel/lib/string.h"
#include "kernel/sched/task.h"
#include "tests/unit/lib/encounter_internal.h"

extern char __text_start[], __text_end[];

static struct {
	unsigned n;
	unsigned long ip[MAX_BOUNDARIES];
	bool comes_first[MAX_BOUNDARIES]; /* an instruction that has not been seen before */
} way;

/* A bit for each byte of the kernel's text: an instruction has been seen there. */
#define TEXT_MAX (1UL << 20)
static u64 seen[TEXT_MAX / 64];

/* The last instructions of this pass; longer loops count in full. */
#define LOOP_MAX 32
static unsigned long recent[LOOP_MAX];
static unsigned nr_recent;

void way_start(void)
{
	memset(recent, 0, sizeof(recent));
}

bool way_repeats(unsigned long ip)
{
	bool found = false;

	for (unsigned i = 0; i < LOOP_MAX; i++)
		found |= recent[i] == ip;
	recent[nr_recent++ % LOOP_MAX] = ip;
	return found;
}

void way_begin(void)
{
	way.n = 0;
}

void way_note(unsigned long ip)
{
	if (way.n < MAX_BOUNDARIES)
		way.ip[way.n++] = ip;
}

unsigned way_length(void)
{
	return way.n;
}

unsigned long way_ip(unsigned boundary)
{
	return way.ip[boundary];
}

unsigned way_first_step(unsigned target)
{
	unsigned i = min(target, way.n - 1);

	while (i && !way.comes_first[i])
		i--;
	return i;
}

static bool same_function(unsigned long a, unsigned long b)
{
	char x[SYMBOL_LEN], y[SYMBOL_LEN];
	unsigned i = 0;

	symbol_name(a, x, sizeof(x));
	symbol_name(b, y, sizeof(y));
	while (x[i] == y[i] && x[i] && x[i] != '+')
		i++;
	return x[i] == y[i];
}

/* Of doors.h, or what these call. */
static bool is_of_the_entry(unsigned long ip)
{
	return same_function(ip, (unsigned long)assert_kernel_flags) ||
	       same_function(ip, (unsigned long)task_user_regs) ||
	       same_function(ip, (unsigned long)pv_ops.irq.save_fl);
}

/* Whether @ip is new; an instruction outside of the text (of a hypercall page) never is. */
static bool see(unsigned long ip)
{
	unsigned long at = ip - (unsigned long)__text_start;
	bool is_new;

	if (at >= TEXT_MAX || ip >= (unsigned long)__text_end)
		return false;
	is_new = !(seen[at / 64] & BIT(at % 64));
	seen[at / 64] |= BIT(at % 64);
	return is_new;
}

void way_end(void)
{
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < way.n; i++)
		way.comes_first[i] = see(way.ip[i]) && !is_of_the_entry(way.ip[i]);
}
