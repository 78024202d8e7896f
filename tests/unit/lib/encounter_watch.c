/*
 * What the CPUs of both sides look at while they have nothing else to do, so that nobody waits for
 * ever; and the third task.
 */
#include "kernel/debug/backtrace.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/sched.h"
#include "kernel/time/clock.h"
#include "tests/unit/lib/encounter_internal.h"

#define QUIET_ROUNDS 2000
#define QUIET_NS 2000000UL

/* A dead task is not asleep: it is about to be freed. */
bool is_at_rest(const struct task *t)
{
	enum task_state state = READ_ONCE(t->state);

	return state != TASK_RUNNING && state != TASK_DEAD && !READ_ONCE(t->on_rq) &&
	       !READ_ONCE(t->on_cpu);
}

/* --- the end of a task --- */

struct task_search {
	int tid;
	bool found;
};

static void look_at(struct task *t, void *arg)
{
	struct task_search *s = arg;

	s->found |= t->tid == s->tid;
}

/* Or a task is yet to give back what it had; this one, perhaps. */
static bool task_exists(int tid)
{
	struct task_search s = {.tid = tid};

	return for_each_task(look_at, &s) || s.found;
}

/* Its memory is its own. */
static bool task_is_listed(int tid)
{
	struct task_search s = {.tid = tid};

	for_each_task(look_at, &s);
	return s.found;
}

bool stepped_has_ended(void)
{
	if (pass.e->stepped_ends && !task_exists(pass.stepped_tid)) {
		WRITE_ONCE(pass.stepping, false);
		smp_store_release(&pass.stepped_ended, true);
	}
	return smp_load_acquire(&pass.stepped_ended);
}

/* A task that leaves the list is freed: what was read of it counts only if it is there after that. */
static bool stepped_is_asleep(void)
{
	return is_at_rest(pass.stepped) && task_is_listed(pass.stepped_tid);
}

/* --- progress --- */

/* Nothing has changed for long. */
static bool is_quiet(struct quiet *q)
{
	if (q->boundary != READ_ONCE(pass.boundary) || q->asked != READ_ONCE(pass.asked) ||
	    q->answered != READ_ONCE(pass.answered) ||
	    q->stepped != READ_ONCE(pass.stepped->state) ||
	    q->other != READ_ONCE(pass.other->state))
		*q = (struct quiet){
			.boundary = READ_ONCE(pass.boundary),
			.asked = READ_ONCE(pass.asked),
			.answered = READ_ONCE(pass.answered),
			.stepped = READ_ONCE(pass.stepped->state),
			.other = READ_ONCE(pass.other->state),
			.since = clock_ns(),
		};
	return ++q->rounds > QUIET_ROUNDS && clock_ns() - q->since > QUIET_NS;
}

static void __noreturn panic_asleep(const char *side, const struct task *t, const char *how)
{
	char at[SYMBOL_LEN];

	symbol_name(pass.ip, at, sizeof(at));
	if (!pass.reached)
		panic("%s: the %s side (tid %d) %s for ever, and it was asleep before the other "
		      "came",
		      pass.e->name, side, t->tid, how);
	panic("%s: the %s side (tid %d) %s for ever: they met at boundary %u, %s", pass.e->name,
	      side, t->tid, how, pass.target, at);
}

/* The stepped side sleeps or halts ahead of its boundary: the other comes for the first time. */
static void let_other_come(void)
{
	unsigned never = 0;

	try_cmpxchg(&pass.asked, &never, 1);
}

void check_progress(struct quiet *q)
{
	bool quiet = is_quiet(q), late = quiet && clock_ns() - q->since > LATE_NS;
	bool came = READ_ONCE(pass.asked), answered = other_has_answered();
	bool ended = stepped_has_ended();

	if (!ended && answered) {
		bool asleep = stepped_is_asleep();

		if (!came && (asleep || quiet))
			let_other_come();
		else if (came && asleep)
			panic_asleep("stepped", pass.stepped, "sleeps");
		else if (came && late)
			panic_asleep("stepped", pass.stepped, "waits");
	} else if (ended && !smp_load_acquire(&pass.other_ended)) {
		bool asleep = is_at_rest(pass.other) && !other_has_answered();

		if (asleep || (late && !answered) || (quiet && is_at_rest(pass.other)))
			panic_asleep("other", pass.other, asleep ? "sleeps" : "waits");
	}
}

/* --- a third task --- */

static struct {
	struct task *task;
	void (*fn)(void);
	bool has_ended;
} third;

static void third_main(void *arg __unused)
{
	third.fn();
	smp_store_release(&third.has_ended, true);
}

static void await_third(void)
{
	while (!smp_load_acquire(&third.has_ended) && !is_at_rest(third.task))
		encounter_give_way();
}

void encounter_start_third(void (*fn)(void))
{
	third.has_ended = false;
	third.task = encounter_make_task(1, "third", third_main, NULL);
	third.fn = fn;
	wake_up_new_task(third.task);
	await_third();
}

void encounter_wake_third(void)
{
	if (!smp_load_acquire(&third.has_ended))
		wake_up_task(third.task);
	await_third();
}
