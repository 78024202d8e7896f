/*
 * Suite `race-exit`: the end of a process, met at every instruction.
 *
 * A thread is stepped that begins to wait, in futex, wait4 or nanosleep, while the process is told
 * to end; and who tells it, while a thread does so, or clones. Oracle: whoever waits says
 * EINTR, nobody survives or waits on, and every task and frame is given back. The wait of a parent
 * is stepped while the child ends: it is reported once, with EFAULT if there is nowhere to write
 * to, as on Linux (kernel_wait4() in kernel/exit.c: the child is reaped all the same).
 */
#include "kernel/arch/irqflags.h"
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/futex.h"
#include "kernel/process/process.h"
#include "kernel/sched/timeout.h"
#include "mm/frame/page.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"
#include "tests/unit/lib/met.h"

#define ADDR 0x40000000UL
#define BAD 0x50000000UL /* nothing is mapped there */
#define STATUS (ADDR + 64)
#define RUSAGE (ADDR + 128)
#define CHILD_CODE 7
#define SIGHAND_AND_THREAD 0x10800UL
/* pause; jmp to it */
#define USER_LOOP 0xfceb90f3u

static struct {
	long (*act)(void);
	bool acted;
	long result;
	int child; /* its pid; 0: there is none */
	bool child_may_end;
	unsigned long status, rusage; /* for wait4 */
} scene;

/* --- the process --- */

static void prepare(void)
{
	met_prepare();
	scene.acted = scene.child_may_end = false;
	scene.result = 1;
	scene.child = 0;
}

static void start_child(void (*fn)(void *arg), const cpumask_t *where)
{
	struct task *t = user_process_create("child", fn, NULL, current->process);

	BUG_ON(!t);
	scene.child = t->tid;
	t->cpus_allowed = *where;
	wake_up_new_task(t);
}

static void map_page(void)
{
	const u32 code = USER_LOOP;

	met_map_code(ADDR, ADDR, &code, sizeof(code));
}

static void map_page_and_start_child(void)
{
	const cpumask_t there = cpumask_of(1);

	map_page();
	start_child(met_sleep_until_killed, &there);
}

/* --- what a thread does that the end of its process meets --- */

static long wait_futex(void)
{
	return futex_wait(ADDR, USER_LOOP, FOREVER);
}

static long wait_time(void)
{
	return sleep_until(FOREVER);
}

static long wait_child(void)
{
	return do_wait4(-1, 0, 0, 0);
}

/* The new thread has the third CPU for itself, and runs there until it is told to end. */
static long clone_thread(void)
{
	const cpumask_t there = cpumask_of(2);

	return met_clone(ADDR, &there, CLONE_VM | SIGHAND_AND_THREAD);
}

static void act(void)
{
	if (scene.acted)
		return;
	scene.result = scene.act();
	scene.acted = true;
}

static void kill_victim(void)
{
	process_kill(met.pid, SIGKILL);
}

static void kill_all(void)
{
	kill_victim();
	if (scene.child)
		process_kill(scene.child, SIGKILL);
}

/* --- what is left --- */

static void expect_killed(struct ktest *t)
{
	KEXPECT_EQ(t, STATUS_SIGNAL(process_wait(met.pid)), SIGKILL);
	met_expect_nothing_left(t);
}

static void expect_interrupted(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result, scene.acted ? -EINTR : 1);
	expect_killed(t);
}

static void run(struct ktest *t, long (*what)(void), struct encounter e)
{
	if (!met_begin(t))
		return;
	scene.act = what;
	e.prepare = prepare;
	encounter_run(t, &e);
}

/* @what is stepped, the process is told to end at each boundary; and the other way round. */
static void meet_end(struct ktest *t, const char *name, long (*what)(void),
		     void (*check)(struct ktest *t), void (*before)(void))
{
	run(t, what,
	    (struct encounter){.name = name,
			       .make_stepped = met_new,
			       .before = before,
			       .stepped = act,
			       .other = kill_victim,
			       .other_after = kill_all,
			       .check = check});
}

static void meet_begin(struct ktest *t, const char *name, long (*what)(void),
		       void (*check)(struct ktest *t), void (*before)(void))
{
	run(t, what,
	    (struct encounter){.name = name,
			       .make_other = met_new,
			       .stepped = kill_victim,
			       .other_before = before,
			       .other = act,
			       .other_after = kill_all,
			       .check = check});
}

#define MEET(id, how, text, what, check, before)                                                   \
	static void id(struct ktest *t)                                                            \
	{                                                                                          \
		how(t, text, what, check, before);                                                 \
	}
MEET(futex_and_end, meet_end, "a futex wait, its process ends", wait_futex, expect_interrupted,
     map_page)
MEET(sleep_and_end, meet_end, "a sleep, its process ends", wait_time, expect_interrupted, map_page)
MEET(wait4_and_end, meet_end, "a wait4, its process ends", wait_child, expect_interrupted,
     map_page_and_start_child)
MEET(end_and_futex, meet_begin, "a process ends, a thread waits for a futex", wait_futex,
     expect_interrupted, map_page)
MEET(end_and_sleep, meet_begin, "a process ends, a thread sleeps", wait_time, expect_interrupted,
     map_page)
MEET(end_and_wait4, meet_begin, "a process ends, a thread waits for its child", wait_child,
     expect_interrupted, map_page_and_start_child)
MEET(end_and_clone, meet_begin, "a process ends, a thread clones", clone_thread, expect_killed,
     map_page)

/* --- a parent waits, the child ends --- */

static void end_when_told(void *arg __unused)
{
	while (!smp_load_acquire(&scene.child_may_end))
		let_others_run();
	do_exit_thread(CHILD_CODE);
}

static void map_page_and_start_child_that_ends(void)
{
	const cpumask_t there = cpumask_of(1);

	map_page();
	BUG_ON(put_user32(STATUS, 0));
	start_child(end_when_told, &there);
}

static long wait_for_status(void)
{
	return do_wait4(scene.child, scene.status, 0, scene.rusage);
}

/* All of it: only the parent and the case's own are left. */
static void let_child_end(void)
{
	smp_store_release(&scene.child_may_end, true);
	while (user_task_count() > met.users + 1)
		let_others_run();
}

/* Whatever became of the answer, the child is gone. */
static void expect_no_child(void)
{
	u32 status;

	BUG_ON(do_wait4(-1, 0, 0, 0) != -ECHILD);
	BUG_ON(get_user32(STATUS, &status));
	BUG_ON(status != (scene.status == STATUS ? STATUS_EXITED(CHILD_CODE) : 0));
}

static void expect_answer(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result,
		   scene.status == BAD || scene.rusage == BAD ? -EFAULT : scene.child);
	KEXPECT_EQ(t, process_wait(met.pid), 0);
	met_expect_nothing_left(t);
}

static void report(struct ktest *t, const char *name, unsigned long status, unsigned long rusage)
{
	scene.status = status;
	scene.rusage = rusage;
	run(t, wait_for_status,
	    (struct encounter){.name = name,
			       .make_stepped = met_new,
			       .before = map_page_and_start_child_that_ends,
			       .stepped = act,
			       .after = expect_no_child,
			       .other = let_child_end,
			       .check = expect_answer});
}

static void report_child(struct ktest *t)
{
	report(t, "a wait4, the child ends", STATUS, RUSAGE);
}

static void report_bad_status(struct ktest *t)
{
	report(t, "a wait4 with a bad status pointer, the child ends", BAD, RUSAGE);
}

static void report_bad_rusage(struct ktest *t)
{
	report(t, "a wait4 with a bad rusage pointer, the child ends", STATUS, BAD);
}

static const struct ktest_case cases[] = {
	{"futex_and_end", futex_and_end},	  {"sleep_and_end", sleep_and_end},
	{"wait4_and_end", wait4_and_end},	  {"end_and_futex", end_and_futex},
	{"end_and_sleep", end_and_sleep},	  {"end_and_wait4", end_and_wait4},
	{"end_and_clone", end_and_clone},	  {"report_child", report_child},
	{"report_bad_status", report_bad_status}, {"report_bad_rusage", report_bad_rusage},
};
KTEST_SUITE(race_exit_suite, "race-exit", "the end of a process, at each instruction", true, cases);
