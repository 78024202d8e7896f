/*
 * Every instruction boundary of one side of a protocol; see encounter.h.
 *
 * Three tasks. The case's own watches: it shares CPU 0 with the stepped side, as what else there is
 * to run, or CPU 1 with the other side. It, or the other side, sees to it that the other side comes
 * when the stepped one waits for it ahead of its boundary, and that nobody waits for ever. While
 * the case's task watches on CPU 0 it forbids preemption: an interrupt that
 * switched to the stepped side would lose the flag TF on its way. It comes back by a switch of its
 * own, which keeps the flag.
 *
 * A first pass notes all boundaries. The others begin to step at the last one ahead of theirs whose
 * instruction comes for the first time there: a breakpoint finds it. Not in a function that the
 * debug exception itself calls ahead of its handler: that would come for ever.
 */
#include "tests/unit/encounter.h"

#include "boot/cmdline.h"
#include "kernel/backtrace.h"
#include "kernel/clock.h"
#include "kernel/counters.h"
#include "kernel/doors.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/traps.h"
#include "tests/unit/step.h"

/* At a boundary: for an answer that the stepped side's CPU has to help with, when it goes on. */
#define SPINS_AT_BOUNDARY 1000
#define NS_AT_BOUNDARY 20000000UL
/* Of who has found a lock taken. More would be the same instructions again. */
#define FEW_SPINS 2
/* Until it sleeps, or halts. */
#define SPINS_TO_SLEEP 32
/* Without a change on either side; a loaded host may keep a CPU away for long. */
#define QUIET_ROUNDS 2000
#define QUIET_NS 2000000UL
#define LATE_NS 5000000000UL
#define TRIES 20 /* of a pass whose steps an interrupt has ended */

#define MAX_BOUNDARIES 4096
#define SYMBOL_LEN 64
static struct {
	unsigned n;
	unsigned long ip[MAX_BOUNDARIES];
	bool comes_first[MAX_BOUNDARIES]; /* an instruction that has not been seen before */
} way;

static struct {
	const struct encounter *e;
	struct task *stepped, *other;
	unsigned target;   /* the boundary at which the other side comes */
	unsigned first;	   /* the boundary at which the steps begin; 0: they begin at once */
	unsigned boundary; /* boundaries so far */
	unsigned long ip;  /* of the target */
	bool noting, stepping, reached, steps_lost;
	bool over; /* both have done what they do; they may end */
	bool stepped_ended, other_ready, other_ended;
	unsigned asked, answered;	      /* how often the other side shall come, has come */
	unsigned at_once, waited, unfinished; /* what it did at the boundaries */
} pass;

struct task *encounter_stepped_task(void)
{
	return pass.stepped;
}

struct task *encounter_other_task(void)
{
	return pass.other;
}

static void call(void (*fn)(void))
{
	if (fn)
		fn();
}

/* --- the boundary --- */

static void ask_other(void)
{
	__atomic_add_fetch(&pass.asked, 1, __ATOMIC_SEQ_CST);
}

static bool other_has_answered(void)
{
	return smp_load_acquire(&pass.answered) == READ_ONCE(pass.asked);
}

/* Asleep: off its run queue, and off its CPU. */
static bool is_at_rest(const struct task *t)
{
	return READ_ONCE(t->state) != TASK_RUNNING && !READ_ONCE(t->on_rq) && !READ_ONCE(t->on_cpu);
}

/* Asleep, or as the case says. */
static bool other_waits(void)
{
	return is_at_rest(pass.other) || (pass.e->other_waits && pass.e->other_waits());
}

/* Through, waiting, or long enough in front of a lock to sleep or halt. */
static bool other_is_as_far_as_it_comes(u64 contended)
{
	static unsigned since;

	if (counter_sum(CNT_LOCK_CONTENDED) == contended)
		since = 0;
	else
		since++;
	return other_has_answered() || other_waits() || since > SPINS_TO_SLEEP;
}

static void count_outcome(u64 contended)
{
	if (other_has_answered())
		pass.at_once++;
	else if (other_waits() || counter_sum(CNT_LOCK_CONTENDED) != contended)
		pass.waited++;
	else
		pass.unfinished++;
}

/* Until the other side is through, or waits for this one. Interrupts come if @open. */
static void meet(bool open)
{
	u64 contended = counter_sum(CNT_LOCK_CONTENDED), since = clock_ns();
	unsigned spins = 0;

	ask_other();
	preempt_disable();
	if (open)
		local_irq_enable();
	while (!other_is_as_far_as_it_comes(contended) &&
	       (++spins < SPINS_AT_BOUNDARY || clock_ns() - since < NS_AT_BOUNDARY))
		cpu_relax();
	if (open)
		local_irq_disable();
	preempt_enable_no_resched();
	count_outcome(contended);
	/* And a preemption, as soon as it is allowed: a task on its way to sleep comes back. */
	if (!pass.e->cpu_is_idle)
		set_need_resched();
}

/* A boundary is the stepped task's, or its CPU's that it has left idle. */
static bool is_stepped_here(void)
{
	return READ_ONCE(pass.stepping) &&
	       (current == pass.stepped ||
		(pass.e->cpu_is_idle && current->is_idle && smp_processor_id() == 0));
}

static void note(unsigned long ip)
{
	if (way.n < MAX_BOUNDARIES)
		way.ip[way.n++] = ip;
}

/* The breakpoint: the steps begin. */
static void begin_steps(struct pt_regs *regs)
{
	break_nowhere();
	pass.boundary = pass.first;
	pass.first = 0;
	regs->flags |= FLAGS_TF;
}

static void at_boundary(struct pt_regs *regs)
{
	if (!is_stepped_here()) {
		regs->flags |= FLAGS_RF; /* somebody else's breakpoint */
		return;
	}
	if (pass.first)
		begin_steps(regs);
	if (pass.noting)
		note(regs->ip);
	if (pass.boundary++ != pass.target)
		return;
	pass.ip = regs->ip;
	regs->flags &= ~FLAGS_TF;
	pass.reached = true;
	meet(regs->flags & FLAGS_IF);
}

/* --- what both sides' CPUs look at, while they have nothing else to do --- */

struct quiet {
	unsigned boundary, asked, answered, rounds;
	enum task_state stepped, other;
	u64 since;
};

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

/* A side that sleeps, or waits, with nobody left to end it. Two tasks may look at once. */
static void check_progress(struct quiet *q)
{
	bool quiet = is_quiet(q), late = quiet && clock_ns() - q->since > LATE_NS;
	bool came = READ_ONCE(pass.asked), answered = other_has_answered();
	bool ended = smp_load_acquire(&pass.stepped_ended);

	if (!ended && answered) {
		bool asleep = is_at_rest(pass.stepped) && !smp_load_acquire(&pass.stepped_ended);

		if (!came && (asleep || quiet))
			let_other_come();
		else if (came && asleep)
			panic_asleep("stepped", pass.stepped, "sleeps");
		else if (came && late)
			panic_asleep("stepped", pass.stepped, "waits");
	} else if (ended && !answered) {
		bool asleep = is_at_rest(pass.other) && !other_has_answered();

		if (asleep || late)
			panic_asleep("other", pass.other, asleep ? "sleeps" : "waits");
	}
}

/* --- the two sides --- */

static bool step_flag(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags & FLAGS_TF;
}

static void await_end(void)
{
	while (!smp_load_acquire(&pass.over))
		let_others_run();
	if (current->process)
		do_exit_thread(0);
}

static void stepped_main(void *arg __unused)
{
	call(pass.e->before);
	WRITE_ONCE(pass.stepping, true);
	if (pass.first)
		break_at(way.ip[pass.first]);
	else
		step_begin();
	pass.e->stepped();
	pass.steps_lost = !step_flag() && !pass.reached;
	WRITE_ONCE(pass.stepping, false);
	step_end();
	call(pass.e->after);
	smp_store_release(&pass.stepped_ended, true);
	await_end();
}

/* With whatever it holds. */
static void give_way(void)
{
	if (preempt_count() == 0)
		sched_yield_in_lock();
	cpu_relax();
}

static void other_main(void *arg __unused)
{
	struct quiet q = {0};

	call(pass.e->other_before);
	smp_store_release(&pass.other_ready, true);
	while (!smp_load_acquire(&pass.stepped_ended) || !other_has_answered()) {
		if (other_has_answered()) {
			check_progress(&q);
			give_way();
			continue;
		}
		pass.e->other();
		smp_store_release(&pass.answered, pass.answered + 1);
	}
	call(pass.e->other_after);
	smp_store_release(&pass.other_ended, true);
	await_end();
}

static struct task *make(unsigned cpu, const char *name, void (*fn)(void *arg),
			 struct task *(*how)(void (*fn)(void *arg)))
{
	struct task *t = how ? how(fn) : task_create(name, fn, NULL);

	BUG_ON(!t);
	t->cpus_allowed = cpumask_of(cpu);
	return t;
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
		give_way();
}

void encounter_start_third(void (*fn)(void))
{
	third.has_ended = false;
	third.task = make(1, "third", third_main, NULL);
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

/* --- the case's task --- */

static bool both_have_ended(void)
{
	return smp_load_acquire(&pass.stepped_ended) && smp_load_acquire(&pass.other_ended);
}

static void watch(void)
{
	struct quiet q = {0};

	preempt_disable();
	while (!both_have_ended()) {
		check_progress(&q);
		cpu_relax();
		preempt_enable_no_resched();
		sched_yield_in_lock();
		preempt_disable();
	}
	preempt_enable();
}

static void say_where(void)
{
	char at[SYMBOL_LEN];

	symbol_name(pass.ip, at, sizeof(at));
	printk("    # %s: they met at boundary %u, %s\n", pass.e->name, pass.target, at);
}

/* What both sides have started has ended with them. */
static void await_all_ended(unsigned tasks)
{
	u64 since = clock_ns();

	while (task_count() > tasks) {
		if (clock_ns() - since > LATE_NS)
			panic("%s: %u tasks live on: they met at boundary %u", pass.e->name,
			      task_count() - tasks, pass.target);
		let_others_run();
	}
}

static void one_pass(struct ktest *t)
{
	const unsigned tasks = task_count();

	call(pass.e->prepare);
	pass.boundary = pass.asked = pass.answered = 0;
	pass.ip = 0;
	pass.reached = pass.steps_lost = pass.over = false;
	pass.stepped_ended = pass.other_ready = pass.other_ended = false;
	pass.stepped = make(0, "stepped", stepped_main, pass.e->make_stepped);
	pass.other = make(1, "other", other_main, pass.e->make_other);
	wake_up_new_task(pass.other);
	while (!smp_load_acquire(&pass.other_ready))
		let_others_run();
	wake_up_new_task(pass.stepped);
	watch();
	step_end(); /* of a task that has ended in its steps, or ahead of them */
	break_nowhere();
	smp_store_release(&pass.over, true);
	await_all_ended(tasks);
	if (pass.e->check)
		pass.e->check(t);
	if (t->failures)
		say_where();
}

/* An interrupt has ended the halt, and the steps. What follows is the same where nobody halts. */
static bool has_halted(void)
{
	return pass.e->cpu_is_idle && pass.asked;
}

/* Where a pass to @target begins to step. */
static unsigned first_step(unsigned target)
{
	unsigned i = min(target, way.n - 1);

	while (i && !way.comes_first[i])
		i--;
	return i;
}

/* False: the pass ended before its boundary. */
static bool pass_reaches(struct ktest *t, unsigned target)
{
	pass.target = target;
	for (unsigned i = 0; i < TRIES && !t->failures; i++) {
		pass.first = i ? 0 : first_step(target);
		one_pass(t);
		if (pass.reached)
			return true;
		if (!pass.steps_lost || has_halted())
			return false;
	}
	KEXPECT(t, !"an interrupt always ends the steps: boundaries are left out");
	return false;
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

static void note_the_way(struct ktest *t)
{
	pass.noting = true;
	pass.target = ~0u;
	pass.first = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		way.n = 0;
		one_pass(t);
		if (!pass.steps_lost)
			break;
	}
	pass.noting = false;
	for (unsigned i = 0; i < way.n; i++) {
		unsigned j = 0;

		while (way.ip[j] != way.ip[i])
			j++;
		way.comes_first[i] = j == i && !is_of_the_entry(way.ip[i]);
	}
	KEXPECT(t, way.n > 0 && way.n < MAX_BOUNDARIES);
}

static void all_passes(struct ktest *t)
{
	unsigned n = 0;

	note_the_way(t);
	pass.at_once = pass.waited = pass.unfinished = 0;
	while (!t->failures && pass_reaches(t, n))
		n++;
	printk("    # %s: %u boundaries: the other side went through at %u, waited at %u, "
	       "was on its way at %u\n",
	       pass.e->name, n, pass.at_once, pass.waited, pass.unfinished);
	KEXPECT_EQ(t, pass.at_once + pass.waited + pass.unfinished, n);
}

static void set_spins_before_sleep(unsigned n __unused)
{
#ifdef CONFIG_DEBUG
	WRITE_ONCE(spins_before_sleep, n);
#endif
}

void encounter_run(struct ktest *t, const struct encounter *e)
{
	const cpumask_t watcher = cpumask_of(e->cpu_is_idle ? 1 : 0), everywhere = cpu_online_mask;
	const struct sched_tuning tuning = sched_tuning;

	if (cpumask_weight(&cpu_online_mask) < 2) {
		ktest_skip(t, "the other side needs a CPU of its own");
		return;
	}
	pass.e = e;
	if (!boot_params.turns) {
		ktest_skip(t, "CPUs really race here; with --deterministic they take turns");
		return;
	}
	BUG_ON(sched_setaffinity(current, &watcher));
	sched_tune((struct sched_tuning){.quantum_us = 0});
	clock_delay_ns(2000UL * tuning.quantum_us); /* what is armed comes */
	set_spins_before_sleep(FEW_SPINS);
	set_step_hook(at_boundary);
	all_passes(t);
	set_step_hook(NULL);
	set_spins_before_sleep(SPINS_BEFORE_SLEEP);
	sched_tune(tuning);
	BUG_ON(sched_setaffinity(current, &everywhere));
}
