/*
 * The frame of the stress suites.
 *
 * An auditor thread sleeps until some CPU has taken another AUDIT_EVERY page faults (the timer
 * interrupt looks), freezes all user tasks and audits all page tables.
 */
#include "tests/stress/stress.h"

#include "kernel/cpu/interrupt.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/process/holdings.h"
#include "kernel/process/process.h"
#include "kernel/sched/freezer.h"
#include "mm/frame/page.h"
#include "mm/range/whole_table.h"
#include "mm/space/audit.h"

#define AUDIT_EVERY 8192
#define MAX_PROCESSES 16
#define MAX_STRESS_THREADS 32
#define REFERENCE_THREADS 4
#define PAUSE_PERMILLE 10

static struct {
	struct task *task;
	bool wanted, stop, stopped, released;
	struct wait_queue event; /* stopped or released */
	unsigned audits, violations;
} auditor;
static DEFINE_PER_CPU(u64, faults_at_audit);

static void wake_auditor_if_due(const struct pt_regs *regs __unused)
{
	u64 faults = this_cpu_read(cpu_counters[CNT_PAGE_FAULTS]);

	if (faults - this_cpu_read(faults_at_audit) < AUDIT_EVERY)
		return;
	this_cpu_write(faults_at_audit, faults);
	WRITE_ONCE(auditor.wanted, true);
	wake_up_task(auditor.task);
}

static void audit_once(void)
{
	freezer_freeze();
	auditor.violations += audit_all();
	auditor.audits++;
	freezer_thaw();
}

static void auditor_main(void *unused __unused)
{
	while (!READ_ONCE(auditor.stop)) {
		set_current_state(TASK_BLOCKED);
		if (!READ_ONCE(auditor.wanted) && !READ_ONCE(auditor.stop))
			schedule();
		set_current_state(TASK_RUNNING);
		if (xchg(&auditor.wanted, false))
			audit_once();
	}
	WRITE_ONCE(auditor.stopped, true);
	wake_up_all(&auditor.event);
	/* Until nobody is about to wake this task any more. */
	wait_event(&auditor.event, READ_ONCE(auditor.released));
}

static void start_auditor(void)
{
	auditor.task = NULL;
	auditor.wanted = auditor.stop = auditor.stopped = auditor.released = false;
	auditor.audits = auditor.violations = 0;
	wait_queue_init(&auditor.event);
	auditor.task = kthread_run("auditor", auditor_main, NULL);
	set_timer_hook(wake_auditor_if_due);
}

static void stop_auditor(void)
{
	set_timer_hook(NULL);
	WRITE_ONCE(auditor.stop, true);
	wake_up_task(auditor.task);
	wait_event(&auditor.event, READ_ONCE(auditor.stopped));
	WRITE_ONCE(auditor.released, true);
	wake_up_all(&auditor.event);
}

/* Kernel stacks and the tables that map them are kept for the next task, so they count as free. */
struct usage {
	struct holdings held;
	s64 free;
	unsigned tasks;
};

static struct usage measure(void)
{
	return (struct usage){
		.held = holdings_now(),
		.free = page_kind_count(PAGE_FREE) + page_kind_count(PAGE_KSTACK) +
			page_kind_count(PAGE_KERNEL_TABLE) + page_kind_count(PAGE_TABLE_RESERVE),
		.tasks = task_count(),
	};
}

static void check_usage(struct ktest *t, const struct usage *before)
{
	struct usage now;

	await_tasks(before->tasks);
	now = measure();
	KEXPECT_EQ(t, now.held.user, before->held.user);
	KEXPECT_EQ(t, now.held.kernel, before->held.kernel);
	KEXPECT_EQ(t, now.held.objects, before->held.objects);
	KEXPECT_EQ(t, now.held.tables, before->held.tables);
	KEXPECT_EQ(t, now.free, before->free);
}

struct arguments {
	char text[5][24];
};

static int spawn(const struct stress *s, u64 seed, u64 rounds, unsigned threads, unsigned index)
{
	const u64 values[5] = {seed, rounds, threads, s->pages, index};
	const char *argv[7] = {s->program};
	struct arguments a;

	for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
		snprintf(a.text[i], sizeof(a.text[i]), "%lu", values[i]);
		argv[1 + i] = a.text[i];
	}
	return process_spawn(argv);
}

/* Up to 4 CPUs each process has work for all; beyond, all processes together have. */
static unsigned choose_threads(const struct stress *s)
{
	unsigned cpus = cpumask_weight(&cpu_online_mask);

	return min(max(cpus / s->processes, (unsigned)REFERENCE_THREADS),
		   (unsigned)MAX_STRESS_THREADS);
}

/* All timers together fire as often as those of 4 CPUs: virtual CPUs share the host's. */
static struct sched_tuning choose_tuning(const struct stress *s)
{
	struct sched_tuning tuning = s->tuning;

	tuning.pause_permille = PAUSE_PERMILLE;
	if (!tuning.quantum_us) {
		tuning.quantum_us = SCHED_TUNING_DEFAULT.quantum_us;
		return tuning;
	}
	tuning.quantum_us *= max(cpumask_weight(&cpu_online_mask) / REFERENCE_THREADS, 1u);
	return tuning;
}

/* One audit at least, while the processes run. */
static void ask_for_audit(void)
{
	WRITE_ONCE(auditor.wanted, true);
	wake_up_task(auditor.task);
}

static void run_processes(struct ktest *t, const struct stress *s)
{
	unsigned threads = choose_threads(s);
	u64 rounds = t->rounds ? t->rounds : max(s->rounds * REFERENCE_THREADS / threads, 2UL);
	int pid[MAX_PROCESSES];

	for (unsigned i = 0; i < s->processes; i++)
		pid[i] = spawn(s, rng_next(&t->rng) >> 16, rounds, threads, i);
	ask_for_audit();
	for (unsigned i = 0; i < s->processes; i++) {
		KEXPECT(t, pid[i] > 0);
		if (pid[i] > 0)
			KEXPECT_EQ(t, process_wait(pid[i]), 0);
	}
}

/*
 * On one CPU nothing happens between CPUs; and with few rounds by request only what each round does
 * is certain.
 */
static bool must_have_moved(const struct ktest *t, enum counter c)
{
	switch (c) {
	case CNT_LAZY_SECTIONS:
	case CNT_PAGE_FAULTS:
	case CNT_DEVICE_PAGES:
		return true;
	case CNT_SHOOTDOWNS:
	case CNT_MIGRATIONS:
	case CNT_REFUSED_FAULTS:
		return !t->rounds && cpumask_weight(&cpu_online_mask) > 1;
	case CNT_TABLES_PROTECTED:
	case CNT_TABLES_PUSHED_DOWN:
	case CNT_TABLES_FILLED:
	case CNT_TABLES_DROPPED:
	case CNT_TABLES_MOVED:
		return !t->rounds && whole_tables_enabled;
	default:
		return !t->rounds;
	}
}

static void check_counters(struct ktest *t, const struct stress *s, const u64 *before)
{
	for (unsigned i = 0; i < s->nr_must_count; i++)
		if (must_have_moved(t, s->must_count[i]) &&
		    counter_sum(s->must_count[i]) == before[i])
			ktest_fail(t, __FILE__, __LINE__,
				   "%s: %s did not move, so nothing was tested", s->program,
				   counter_name(s->must_count[i]));
}

void stress_run(struct ktest *t, const struct stress *s)
{
	u64 faults = counter_sum(CNT_PAGE_FAULTS), counted[ARRAY_SIZE(s->must_count)];
	struct usage before = measure();

	BUG_ON(s->processes > MAX_PROCESSES);
	for (unsigned i = 0; i < s->nr_must_count; i++)
		counted[i] = counter_sum(s->must_count[i]);
	sched_tune(choose_tuning(s));
	start_auditor();
	run_processes(t, s);
	stop_auditor();
	KEXPECT(t, auditor.audits > 0);
	sched_tune(SCHED_TUNING_DEFAULT);
	audit_once();
	KEXPECT_EQ(t, auditor.violations, 0);
	check_usage(t, &before);
	check_counters(t, s, counted);
	printk("    # %s: %lu page faults, %u audits\n", s->program,
	       counter_sum(CNT_PAGE_FAULTS) - faults, auditor.audits);
}
