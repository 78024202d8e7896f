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
 * A first pass notes all boundaries (encounter_way.c); each of the others is for one of them.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/doors.h"
#include "kernel/entry/traps.h"
#include "kernel/param/cmdline.h"
#include "kernel/process/process.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/wait.h"
#include "kernel/time/clock.h"
#include "tests/unit/lib/encounter_internal.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/ticks.h"

/* At a boundary: for an answer that the stepped side's CPU has to help with, when it goes on. */
#define SPINS_AT_BOUNDARY 1000
#define NS_AT_BOUNDARY 20000000UL
/* Of who has found a lock taken. More would be the same instructions again. */
#define FEW_SPINS 2
/* Until it sleeps, or halts. */
#define SPINS_TO_SLEEP 32
/* What switch_stacks() leaves on the stack, in words: six registers, and where it returns to. */
#define SWITCH_FRAME_IP 6
#define OPCODE_IRETQ 0xcf48
#define PASSES_TO_FILL 2
#define TRIES 20     /* of a pass whose steps an interrupt has ended */
#define MISSES_MAX 4 /* passes in a row that end ahead of their boundary */

struct encounter_pass pass;

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

/* The breakpoint: the steps begin. */
static void begin_steps(struct pt_regs *regs)
{
	break_nowhere();
	pass.boundary = pass.first;
	pass.first = 0;
	regs->flags |= FLAGS_TF;
}

/*
 * The stepped task sleeps, and its CPU has nothing to run but the idle task. The interrupt that
 * ends a halt ends the steps: a breakpoint, where its last switch returns to, takes them up.
 */
static void await_return(void)
{
	const unsigned long *frame = (unsigned long *)pass.stepped->sp;

	if (!pass.e->case_sleeps || pass.returns || !is_at_rest(pass.stepped))
		return;
	pass.returns = true;
	break_at(frame[SWITCH_FRAME_IP]);
}

static void resume_steps(struct pt_regs *regs)
{
	break_nowhere();
	pass.returns = false;
	regs->flags |= FLAGS_TF;
}

/* What goes to user mode takes no flag TF along. */
static bool is_iret(unsigned long ip)
{
	return pass.e->stepped_ends && *(const u16 *)ip == OPCODE_IRETQ;
}

/* Of whoever runs on the stepped side's CPU meanwhile. */
static void pass_by(struct pt_regs *regs)
{
	if (!READ_ONCE(pass.stepping))
		regs->flags &= ~FLAGS_TF; /* of a task that has ended in its steps */
	if (regs->flags & FLAGS_TF)
		await_return();
	regs->flags |= FLAGS_RF; /* somebody else's breakpoint */
}

static void at_boundary(struct pt_regs *regs)
{
	if (!is_stepped_here()) {
		pass_by(regs);
		return;
	}
	if (pass.first)
		begin_steps(regs);
	if (pass.returns)
		resume_steps(regs);
	if (is_iret(regs->ip))
		regs->flags &= ~FLAGS_TF;
	if (pass.e->sample && way_repeats(regs->ip))
		return;
	if (pass.noting)
		way_note(regs->ip);
	if (pass.boundary++ != pass.target)
		return;
	pass.ip = regs->ip;
	regs->flags &= ~FLAGS_TF;
	pass.reached = true;
	meet(regs->flags & FLAGS_IF);
}

/* --- the two sides --- */

static bool step_flag(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags & FLAGS_TF;
}

/* A user task may be stopped here. */
static void await_end(void)
{
	struct quiet q = {0};

	while (!smp_load_acquire(&pass.over)) {
		freezer_checkpoint();
		check_progress(&q);
		let_others_run();
	}
	if (current->process)
		do_exit_thread(0);
}

static void stepped_main(void *arg __unused)
{
	call(pass.e->before);
	WRITE_ONCE(pass.stepping, true);
	if (pass.first)
		break_at(way_ip(pass.first));
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

void encounter_give_way(void)
{
	if (preempt_count() == 0)
		sched_yield_in_lock();
	cpu_relax();
}

/* For the case's task, if it sleeps. */
static struct wait_queue case_event;

static void other_main(void *arg __unused)
{
	struct quiet q = {0};

	call(pass.e->other_before);
	smp_store_release(&pass.other_ready, true);
	while (!stepped_has_ended() || !other_has_answered()) {
		if (other_has_answered()) {
			call(pass.e->other_idle);
			check_progress(&q);
			encounter_give_way();
			continue;
		}
		pass.e->other();
		smp_store_release(&pass.answered, pass.answered + 1);
	}
	call(pass.e->other_after);
	smp_store_release(&pass.other_ended, true);
	wake_up_all(&case_event);
	await_end();
}

struct task *encounter_make_task(unsigned cpu, const char *name, void (*fn)(void *arg),
				 struct task *(*how)(void (*fn)(void *arg)))
{
	struct task *t = how ? how(fn) : task_create(name, fn, NULL);

	BUG_ON(!t);
	t->cpus_allowed = cpumask_of(cpu);
	return t;
}

/* --- the case's task --- */

static bool both_have_ended(void)
{
	return smp_load_acquire(&pass.stepped_ended) && smp_load_acquire(&pass.other_ended);
}

static void watch(void)
{
	struct quiet q = {0};

	if (pass.e->case_sleeps)
		wait_event(&case_event, both_have_ended());
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

static void begin_pass(void)
{
	call(pass.e->prepare);
	pass.boundary = pass.asked = pass.answered = 0;
	pass.ip = 0;
	way_start();
	pass.returns = false;
	pass.reached = pass.steps_lost = pass.over = false;
	pass.stepped_ended = pass.other_ready = pass.other_ended = false;
	pass.stepped = encounter_make_task(0, "stepped", stepped_main, pass.e->make_stepped);
	pass.stepped_tid = pass.stepped->tid;
	pass.other = encounter_make_task(1, "other", other_main, pass.e->make_other);
	wake_up_new_task(pass.other);
	while (!smp_load_acquire(&pass.other_ready))
		let_others_run();
	wake_up_new_task(pass.stepped);
}

static void one_pass(struct ktest *t)
{
	const unsigned tasks = task_count();

	begin_pass();
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

/* Of the last pass: it ended ahead of its boundary, and may not have stepped all the way. */
static bool has_lost_steps(void)
{
	if (pass.e->stepped_ends)
		return pass.target < way_length();
	return pass.steps_lost && !has_halted();
}

/* False: the pass ended before its boundary. */
static bool pass_reaches(struct ktest *t, unsigned target)
{
	pass.target = target;
	for (unsigned i = 0; i < TRIES && !t->failures; i++) {
		pass.first = i ? 0 : way_first_step(target);
		one_pass(t);
		if (pass.reached)
			return true;
		if (!has_lost_steps())
			return false;
	}
	KEXPECT(t, !"an interrupt always ends the steps: boundaries are left out");
	return false;
}

/* Whether pass @i has gone all the way. Of a side whose task ends nobody knows it; so two passes
 * must agree. So must they on a long way, which now and then fills a cache, and in any case after
 * the first passes, which do. */
static bool is_whole_way(unsigned i, unsigned last)
{
	if (pass.e->sample && i < PASSES_TO_FILL)
		return false;
	if ((pass.e->sample || pass.e->stepped_ends) && way_length() != last)
		return false;
	return pass.e->stepped_ends || !pass.steps_lost;
}

static void note_the_way(struct ktest *t)
{
	unsigned last = 0;

	pass.noting = true;
	pass.target = ~0u;
	pass.first = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		way_begin();
		one_pass(t);
		if (is_whole_way(i, last))
			break;
		last = way_length();
	}
	pass.noting = false;
	way_end();
	KEXPECT(t, way_length() > 0 && way_length() < MAX_BOUNDARIES);
}

/* All boundaries, until a pass ends ahead of its own. */
static unsigned meet_everywhere(struct ktest *t)
{
	unsigned n = 0;

	while (!t->failures && pass_reaches(t, n))
		n++;
	return n;
}

/*
 * A boundary of part @i of @parts of a way of @length boundaries; false if a pass has none there.
 */
static bool meet_in_part(struct ktest *t, unsigned i, unsigned parts, unsigned length)
{
	unsigned from = i * length / parts, to = (i + 1) * length / parts;

	pass.target = from + rng_below(&t->rng, max(to - from, 1u));
	pass.first = way_first_step(pass.target);
	one_pass(t);
	return pass.reached;
}

/*
 * One boundary of each of @stretches parts of the way. The way of a pass may be shorter than the
 * one that was noted: what it takes from a cache was there, or nobody else was to be switched to.
 * Then the boundary is one of the way that it had; and if ways stay short, the way is noted again.
 */
static unsigned meet_at_some(struct ktest *t, unsigned stretches)
{
	unsigned n = 0, missed = 0;

	for (unsigned i = 0; i < stretches && !t->failures; i++) {
		bool reached = meet_in_part(t, i, stretches, way_length());

		if (!reached && !t->failures && pass.boundary > pass.first)
			reached = meet_in_part(t, i, stretches, pass.boundary);
		n += reached;
		missed = reached ? 0 : missed + 1;
		if (missed == MISSES_MAX) {
			note_the_way(t);
			missed = 0;
		}
	}
	KEXPECT(t, t->failures || n >= stretches - stretches / 4);
	return n;
}

static void all_passes(struct ktest *t)
{
	u64 wanted = (u64)pass.e->sample * max(t->rounds, 1UL);
	unsigned n;

	note_the_way(t);
	pass.at_once = pass.waited = pass.unfinished = 0;
	n = wanted && wanted < way_length() ? meet_at_some(t, wanted) : meet_everywhere(t);
	printk("    # %s: %u of %u boundaries: the other side went through at %u, waited at %u, "
	       "was on its way at %u\n",
	       pass.e->name, n, way_length(), pass.at_once, pass.waited, pass.unfinished);
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
	struct sched_tuning tuning;

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
	tuning = ticks_end();
	set_spins_before_sleep(FEW_SPINS);
	wait_queue_init(&case_event);
	set_step_hook(at_boundary);
	all_passes(t);
	set_step_hook(NULL);
	set_spins_before_sleep(SPINS_BEFORE_SLEEP);
	sched_tune(tuning);
	BUG_ON(sched_setaffinity(current, &everywhere));
}
