/*
 * What the files of the encounters share: encounter.c makes the passes, encounter_way.c knows the
 * boundaries, encounter_watch.c sees to it that somebody comes when both sides wait, and that
 * nobody waits for ever.
 */
#pragma once

#include "tests/unit/lib/encounter.h"

#define SYMBOL_LEN 64
/* Without a change on either side; a loaded host may keep a CPU away for long. */
#define LATE_NS 5000000000UL

/* The pass that is on; the tasks of all sides read and write it. */
struct encounter_pass {
	const struct encounter *e;
	struct task *stepped, *other;
	int stepped_tid;
	unsigned target;   /* the boundary at which the other side comes */
	unsigned first;	   /* the boundary at which the steps begin; 0: they begin at once */
	unsigned boundary; /* boundaries so far */
	unsigned long ip;  /* of the target */
	bool returns;	   /* a breakpoint awaits the stepped task, which sleeps */
	bool noting, stepping, reached, steps_lost;
	bool over; /* both have done what they do; they may end */
	bool stepped_ended, other_ready, other_ended;
	unsigned asked, answered;	      /* how often the other side shall come, has come */
	unsigned at_once, waited, unfinished; /* what it did at the boundaries */
};
extern struct encounter_pass pass;

/* As often as it was asked. */
static inline bool other_has_answered(void)
{
	return smp_load_acquire(&pass.answered) == READ_ONCE(pass.asked);
}

/* A side's task, which runs @fn on @cpu; @how makes it, or, NULL, it is a kernel thread. */
struct task *encounter_make_task(unsigned cpu, const char *name, void (*fn)(void *arg),
				 struct task *(*how)(void (*fn)(void *arg)));
/* With whatever the caller holds. */
void encounter_give_way(void);

/* --- encounter_way.c --- */

#define MAX_BOUNDARIES 16384

/* A pass begins. */
void way_start(void);
/* On a long way a loop counts once: most of it clears and checks memory, a word at a time. */
bool way_repeats(unsigned long ip);
/* Forget the way; note its next boundary; it is complete. */
void way_begin(void);
void way_note(unsigned long ip);
void way_end(void);
/* How many boundaries there are; MAX_BOUNDARIES: too many. */
unsigned way_length(void);
unsigned long way_ip(unsigned boundary);
/* Where a pass to @target begins to step. */
unsigned way_first_step(unsigned target);

/* --- encounter_watch.c --- */

struct quiet {
	unsigned boundary, asked, answered, rounds;
	enum task_state stepped, other;
	u64 since;
};

/* Asleep: off its run queue, and off its CPU. */
bool is_at_rest(const struct task *t);
/* The stepped side has done what it does; a task that ends has given back all it had. */
bool stepped_has_ended(void);
/* The other side shall come, for who waits for it already; and panic if a side sleeps, or waits,
 * with nobody left to end it. Two tasks may look at once. */
void check_progress(struct quiet *q);
