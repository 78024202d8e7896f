/*
 * Suite `timeouts`: whoever sleeps until a time is woken at that time, by the timer of the CPU on
 * which it went to sleep, whatever that CPU does.
 *
 * No ticks come here, and nobody yields for the sleepers: so nothing but a deadline can wake them.
 * Oracle: each sleeper is woken, in the order of the deadlines, equal ones in the order in which
 * they went to sleep, none too early, on a CPU that it may use; an interrupt wakes a bounded number
 * of them, and as many as it may.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "kernel/param/cmdline.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/timeout.h"
#include "kernel/time/clock.h"
#include "tests/ktest.h"

#define SLEEPERS 40
#define AT_ONCE TIMEOUTS_AT_ONCE
#define MS 1000000UL
#define LONGEST_LEAD (6000 * MS)
#define NEVER (3600000 * MS) /* a deadline that only a lost wake-up waits for */
#define RACES 100
#define SHORTEST_LEAD (10 * MS)

/*
 * None of these waits is that long unless a wake-up is lost. Time of a virtual clock is the guest's
 * own; on the host's clock others may hold a CPU up for seconds.
 */
static u64 patience(void)
{
	return (boot_params.turns ? 6000 : 120000) * MS;
}

static struct {
	u64 deadline[SLEEPERS];
	struct task *task[SLEEPERS];
	bool early[SLEEPERS], done[SLEEPERS], go, over;
	bool released; /* nobody wakes them any more: they may end */
	bool by_hand;  /* somebody may wake them before their time */
	u64 delay;     /* if not 0: from when they begin until their deadline */
	unsigned nr, woken_on[SLEEPERS];
	unsigned arrival[SLEEPERS], order[SLEEPERS]; /* who went to sleep, and who was woken */
	atomic_t there, asleep, woken;
} scene;

/* The test's own wait: its end is told by wake_up_task(). */
static void wait_for_the_end(void)
{
	while (!smp_load_acquire(&scene.over)) {
		set_current_state(TASK_BLOCKED);
		if (!smp_load_acquire(&scene.over))
			schedule();
	}
	set_current_state(TASK_RUNNING);
	while (!smp_load_acquire(&scene.released))
		let_others_run();
}

/* One of scene.task. */
static void sleeper(void *arg)
{
	unsigned i = (unsigned long)arg;

	atomic_inc(&scene.there);
	while (!smp_load_acquire(&scene.go))
		let_others_run();
	if (scene.delay)
		WRITE_ONCE(scene.deadline[i], clock_ns() + scene.delay);
	while (!smp_load_acquire(&scene.over) && clock_ns() < READ_ONCE(scene.deadline[i])) {
		set_current_state(TASK_BLOCKED);
		scene.arrival[(atomic_inc_return(&scene.asleep) - 1) % SLEEPERS] = i;
		schedule_until(READ_ONCE(scene.deadline[i])); /* after the state: it may change */
		set_current_state(TASK_RUNNING);
		scene.early[i] |= !scene.by_hand && clock_ns() < READ_ONCE(scene.deadline[i]);
	}
	scene.woken_on[i] = smp_processor_id();
	scene.order[atomic_inc_return(&scene.woken) - 1] = i;
	smp_store_release(&scene.done[i], true);
	wait_for_the_end();
}

static bool await_count(atomic_t *counter, unsigned n)
{
	u64 start = clock_ns();

	while ((unsigned)atomic_read(counter) < n) {
		if (clock_ns() - start > patience())
			return false;
		let_others_run();
	}
	return true;
}

static unsigned last_cpu(void)
{
	return cpumask_weight(&cpu_online_mask) - 1;
}

static void start_sleeper(unsigned cpu)
{
	unsigned long i = scene.nr;

	scene.task[i] = run_on_cpu(cpu, "sleeper", sleeper, (void *)i);
	scene.nr++;
}

/* They begin when all are there: each new one interrupts the CPU on which they are. */
static void start_sleepers(unsigned cpu, unsigned n)
{
	while (scene.nr < n)
		start_sleeper(cpu);
	BUG_ON(!await_count(&scene.there, n));
	smp_store_release(&scene.go, true);
}

static void end_scene(unsigned tasks)
{
	smp_store_release(&scene.over, true);
	for (unsigned i = 0; i < scene.nr; i++)
		wake_up_task(scene.task[i]);
	smp_store_release(&scene.released, true);
	await_tasks(tasks);
}

/*
 * One attempt on CPU @cpu, in which the first deadline is @lead away; false: the host was so slow
 * that it came before all was ready, and nothing can be said.
 */
typedef bool act_fn(struct ktest *t, unsigned cpu, u64 lead);

static bool failed_before;

/* On CPU 0, without ticks anywhere: @act, for sleepers on the last CPU. */
static void stage(struct ktest *t, act_fn *act)
{
	const cpumask_t here = cpumask_of(0), everywhere = cpu_online_mask;
	const struct sched_tuning tuning = sched_tuning;
	const unsigned tasks = task_count();
	bool judged = false;

	if (failed_before) {
		ktest_skip(t, "another case has failed, and this one may wait as long");
		return;
	}
	BUG_ON(sched_setaffinity(current, &here));
	sched_tune((struct sched_tuning){.quantum_us = 0});
	for (u64 lead = SHORTEST_LEAD; !judged && !t->failures && lead < LONGEST_LEAD; lead *= 3) {
		memset(&scene, 0, sizeof(scene));
		judged = act(t, last_cpu(), lead);
		end_scene(tasks);
	}
	sched_tune(tuning);
	BUG_ON(sched_setaffinity(current, &everywhere));
	failed_before = t->failures;
	if (!judged && !t->failures)
		ktest_skip(t, "the host is too slow");
}

/* Off its CPU, so in a heap: not only on its way there. */
static bool is_asleep(const struct task *task)
{
	return READ_ONCE(task->state) == TASK_BLOCKED && !READ_ONCE(task->on_rq) &&
	       !READ_ONCE(task->on_cpu);
}

/* Whether all @n are asleep, and it is before @deadline. */
static bool all_asleep_before(unsigned n, u64 deadline)
{
	while ((unsigned)atomic_read(&scene.asleep) < n && clock_ns() < deadline)
		let_others_run();
	for (unsigned i = 0; i < n; i++)
		while (!is_asleep(scene.task[i]) && clock_ns() < deadline)
			let_others_run();
	return clock_ns() < deadline;
}

static void check_woken(struct ktest *t, unsigned n)
{
	KEXPECT(t, await_count(&scene.woken, n));
	for (unsigned i = 0; i < n; i++)
		KEXPECT(t, !scene.early[i]);
}

static struct {
	u64 before, until; /* when they must be off, and how long */
	bool in_time;
	void (*begin)(void);
} hold;

/* A task: no interrupt comes on its CPU for a while. */
static void hold_interrupts(void *arg __unused)
{
	local_irq_disable();
	hold.in_time = clock_ns() < hold.before;
	if (hold.begin)
		hold.begin();
	while (clock_ns() <= hold.until)
		cpu_relax();
	local_irq_enable();
}

/* --- order --- */

/* No timer comes before all are due: then one interrupt wakes them, and they run in its order. */
static bool in_order_of_deadlines(struct ktest *t, unsigned cpu, u64 lead)
{
	u64 first = clock_ns() + lead;
	bool judged;

	for (unsigned i = 0; i < AT_ONCE; i++) /* 7 and 16 have no common divisor */
		scene.deadline[i] = first + i * 7 % AT_ONCE * (MS / 10);
	start_sleepers(cpu, AT_ONCE);
	judged = all_asleep_before(AT_ONCE, first);
	hold.until = first + AT_ONCE * (MS / 10);
	hold.before = first;
	run_on_cpu(cpu, "holder", hold_interrupts, NULL);
	check_woken(t, AT_ONCE);
	for (unsigned k = 1; judged && hold.in_time && k < AT_ONCE; k++)
		KEXPECT(t, scene.deadline[scene.order[k]] > scene.deadline[scene.order[k - 1]]);
	return judged && hold.in_time;
}

static void order(struct ktest *t)
{
	stage(t, in_order_of_deadlines);
}

static bool in_order_of_arrival(struct ktest *t, unsigned cpu, u64 lead)
{
	u64 deadline = clock_ns() + lead;
	bool judged;

	for (unsigned i = 0; i < AT_ONCE; i++)
		scene.deadline[i] = deadline;
	start_sleepers(cpu, AT_ONCE);
	judged = all_asleep_before(AT_ONCE, deadline);
	check_woken(t, AT_ONCE);
	for (unsigned k = 0; judged && k < AT_ONCE; k++)
		KEXPECT_EQ(t, scene.order[k], scene.arrival[k]);
	return judged;
}

static void equal_deadlines(struct ktest *t)
{
	stage(t, in_order_of_arrival);
}

/* --- a CPU that is busy, and one that is idle --- */

static struct {
	bool in_time, gave_up;
} busy;

/*
 * It gives its CPU to nobody, unless an interrupt wants it. One that begins after the deadline may
 * have the sleeper, which is runnable already, wait behind it: then it ends at once.
 */
static void keep_cpu_busy(void *arg __unused)
{
	u64 start = clock_ns();

	busy.in_time = start < scene.deadline[0];
	while (busy.in_time && !busy.gave_up && !atomic_read(&scene.woken)) {
		cpu_relax();
		busy.gave_up = clock_ns() - start > patience();
	}
}

static bool beside_a_busy_task(struct ktest *t, unsigned cpu, u64 lead)
{
	busy.in_time = busy.gave_up = false;
	scene.deadline[0] = clock_ns() + lead;
	start_sleepers(cpu, 1);
	if (!all_asleep_before(1, scene.deadline[0]))
		return false; /* behind a busy task it would never get to sleep */
	run_on_cpu(cpu, "busy", keep_cpu_busy, NULL);
	check_woken(t, 1);
	KEXPECT(t, !busy.gave_up);
	return busy.in_time;
}

static void busy_cpu(struct ktest *t)
{
	stage(t, beside_a_busy_task);
}

/* The second one sleeps until an earlier time: the timer must be brought forward. */
static bool nobody_else(struct ktest *t, unsigned cpu, u64 lead)
{
	u64 now = clock_ns();
	bool judged;

	scene.deadline[0] = now + 3 * lead;
	scene.deadline[1] = now + lead;
	start_sleepers(cpu, 1);
	judged = all_asleep_before(1, scene.deadline[1]);
	start_sleeper(cpu);
	judged = judged && all_asleep_before(2, scene.deadline[1]);
	check_woken(t, 2);
	if (judged)
		KEXPECT_EQ(t, scene.order[0], 1);
	return judged;
}

static void idle_cpu(struct ktest *t)
{
	stage(t, nobody_else);
}

/* --- where they go on --- */

static bool moved_while_asleep(struct ktest *t, unsigned cpu, u64 lead)
{
	const cpumask_t here = cpumask_of(0);
	bool judged;

	scene.deadline[0] = clock_ns() + lead;
	start_sleepers(cpu, 1);
	all_asleep_before(1, scene.deadline[0]);
	KEXPECT_EQ(t, sched_setaffinity(scene.task[0], &here), 0);
	judged = clock_ns() < scene.deadline[0];
	check_woken(t, 1);
	if (judged)
		KEXPECT_EQ(t, scene.woken_on[0], 0);
	return judged;
}

static bool stays_there(struct ktest *t, unsigned cpu, u64 lead)
{
	scene.deadline[0] = clock_ns() + lead;
	start_sleepers(cpu, 1);
	check_woken(t, 1);
	KEXPECT_EQ(t, scene.woken_on[0], cpu);
	return true;
}

static void right_cpu(struct ktest *t)
{
	stage(t, stays_there);
	stage(t, moved_while_asleep);
}

/* --- removed before their time, and at it --- */

static bool taken_from_the_middle(struct ktest *t, unsigned cpu, u64 lead)
{
	u64 now = clock_ns();
	bool judged;

	for (unsigned i = 0; i < SLEEPERS; i++)
		scene.deadline[i] = now + (i % 2 ? lead : NEVER);
	start_sleepers(cpu, SLEEPERS);
	judged = all_asleep_before(SLEEPERS, now + lead);
	for (unsigned i = 0; i < SLEEPERS; i += 2) {
		WRITE_ONCE(scene.deadline[i], 0);
		wake_up_task(scene.task[i]);
	}
	check_woken(t, SLEEPERS);
	return judged;
}

static void removal(struct ktest *t)
{
	stage(t, taken_from_the_middle);
}

/* This CPU wakes it at about the time at which its own timer does. */
static bool at_its_time(struct ktest *t, unsigned cpu, u64 lead __unused)
{
	u64 early = rng_below(&t->rng, 3000), start = clock_ns();

	scene.by_hand = true;
	scene.delay = 20000 + rng_below(&t->rng, 60000);
	scene.deadline[0] = FOREVER;
	start_sleepers(cpu, 1);
	while (clock_ns() < READ_ONCE(scene.deadline[0]) - early && clock_ns() - start < patience())
		let_others_run();
	wake_up_task(scene.task[0]);
	check_woken(t, 1);
	return true;
}

static void expiry_while_being_removed(struct ktest *t)
{
	for (unsigned i = 0; i < RACES && !t->failures; i++)
		stage(t, at_its_time);
}

/* --- how many at once --- */

static struct {
	unsigned cpu, interrupts, left, most;
	bool counting;
} bound;

/* Done first: of those that have been woken some may be asleep again, for another reason. */
static unsigned count_left(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLEEPERS; i++)
		n += READ_ONCE(scene.task[i]->state) == TASK_BLOCKED &&
		     !smp_load_acquire(&scene.done[i]);
	return n;
}

/* At the start of each timer interrupt: how many did the one before wake? */
static void count_interrupt(const struct pt_regs *regs __unused)
{
	unsigned left;

	if (smp_processor_id() != bound.cpu || !bound.counting)
		return;
	left = count_left();
	bound.most = max(bound.most, bound.left - left);
	bound.interrupts += left > 0;
	bound.left = left;
}

static void begin_to_count(void)
{
	bound.left = count_left();
	bound.counting = true;
}

static bool all_at_once(struct ktest *t, unsigned cpu, u64 lead)
{
	u64 deadline = clock_ns() + lead;
	bool judged;

	for (unsigned i = 0; i < SLEEPERS; i++)
		scene.deadline[i] = deadline;
	memset(&bound, 0, sizeof(bound));
	bound.cpu = cpu;
	hold.before = hold.until = deadline;
	hold.begin = begin_to_count;
	start_sleepers(cpu, SLEEPERS);
	judged = all_asleep_before(SLEEPERS, deadline);
	set_timer_hook(count_interrupt);
	run_on_cpu(cpu, "holder", hold_interrupts, NULL);
	check_woken(t, SLEEPERS);
	set_timer_hook(NULL);
	hold.begin = NULL;
	if (!judged || !hold.in_time)
		return false;
	KEXPECT(t, bound.most <= TIMEOUTS_AT_ONCE);
	KEXPECT_EQ(t, bound.interrupts, (SLEEPERS + TIMEOUTS_AT_ONCE - 1) / TIMEOUTS_AT_ONCE);
	return true;
}

static void bounded_interrupts(struct ktest *t)
{
	stage(t, all_at_once);
}

static void no_sleep(struct ktest *t)
{
	KEXPECT_EQ(t, sleep_until(0), 0);
	KEXPECT_EQ(t, sleep_until(clock_ns()), 0);
}

static const struct ktest_case cases[] = {
	{"no_sleep", no_sleep},
	{"order", order},
	{"equal_deadlines", equal_deadlines},
	{"busy_cpu", busy_cpu},
	{"idle_cpu", idle_cpu},
	{"right_cpu", right_cpu},
	{"removal", removal},
	{"expiry_while_being_removed", expiry_while_being_removed},
	{"bounded_interrupts", bounded_interrupts},
};
KTEST_SUITE(timeouts_suite, "timeouts", "sleepers are woken in time, on any CPU", true, cases);
