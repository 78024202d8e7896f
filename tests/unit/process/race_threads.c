/*
 * Suite `race-threads`: the end and the birth of threads, met at every instruction.
 *
 * A thread ends, the last one or one of several, while the process is killed; a child ends while
 * its parent ends or waits for it; a parent in vfork's wait meets its child's end, and a kill; a
 * clone meets a kill. Oracle: each process is reported once, with a status that it can have;
 * nobody survives or waits on, and every task and frame is given back.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/process.h"
#include "kernel/sched/task.h"
#include "kernel/sched/timeout.h"
#include "mm/frame/page.h"
#include "mm/mm.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"
#include "tests/unit/lib/met.h"

#define ADDR 0x40000000UL
#define CODE (ADDR + 64)
#define STATUS (ADDR + 128)
#define GO (ADDR + 192) /* the child of vfork may end */
#define EXIT_CODE 7
#define THREAD_FLAGS 0x10800UL /* CLONE_SIGHAND, CLONE_THREAD */
/* Boundaries of a long way, for each round. */
#define SAMPLE 160
#define LOOKS 32 /* at a child that cannot end yet, or is to be born */

/* pause; jmp to it */
static const u8 spinning[] = {0xf3, 0x90, 0xeb, 0xfc};
/* 1: cmpl $0, GO; pause; je 1b; mov $EXIT_CODE, %edi; mov $231, %eax (exit_group); syscall */
static const u8 exiting[] = {0x83, 0x3c, 0x25, 0xc0, 0x00, 0x00,      0x40, 0x00,
			     0xf3, 0x90, 0x74, 0xf4, 0xbf, EXIT_CODE, 0,    0,
			     0,	   0xb8, 231,  0,    0,	   0,	      0x0f, 0x05};

static struct {
	int child;
	struct mm *mm;	/* of the parent in vfork, with a reference */
	unsigned looks; /* at the child that ends */
	struct task *parent;
	long result; /* of the parent's system call; 1: it has not returned */
} scene;

static void prepare(void)
{
	met_prepare();
	scene.child = 0;
	scene.result = 1;
}

static void run(struct ktest *t, struct encounter e)
{
	if (!met_begin(t))
		return;
	if (!e.prepare)
		e.prepare = prepare;
	e.sample = SAMPLE;
	encounter_run(t, &e);
}

/* --- a process, and threads in user mode on the third CPU --- */

static void map_code(const u8 *code, size_t len)
{
	met_map_code(ADDR, CODE, code, len);
	BUG_ON(put_user32(STATUS, 0));
}

static void map_spinning(void)
{
	map_code(spinning, sizeof(spinning));
}

static void clone_thread(void)
{
	const cpumask_t there = cpumask_of(2);

	scene.result = met_clone(CODE, &there, CLONE_VM | THREAD_FLAGS);
}

static void map_and_clone_thread(void)
{
	map_spinning();
	clone_thread();
	BUG_ON(scene.result < 0);
}

static void end_thread(void)
{
	do_exit_thread(EXIT_CODE);
}

static void kill_process(void)
{
	process_kill(met.pid, SIGKILL);
}

static void expect_killed(struct ktest *t)
{
	KEXPECT_EQ(t, process_wait(met.pid), STATUS_SIGNALLED(SIGKILL));
	met_expect_nothing_left(t);
}

/* The kill may come too late for the last thread. */
static void expect_killed_or_exited(struct ktest *t)
{
	int status = process_wait(met.pid);

	KEXPECT(t, status == STATUS_SIGNALLED(SIGKILL) || status == STATUS_EXITED(EXIT_CODE));
	met_expect_nothing_left(t);
}

static void thread_ends(struct ktest *t)
{
	run(t, (struct encounter){.name = "a thread ends, its process is killed",
				  .make_stepped = met_new,
				  .before = map_and_clone_thread,
				  .stepped = end_thread,
				  .stepped_ends = true,
				  .other = kill_process,
				  .other_after = kill_process,
				  .check = expect_killed});
}

static void last_thread_ends(struct ktest *t)
{
	run(t, (struct encounter){.name = "the last thread ends, its process is killed",
				  .make_stepped = met_new,
				  .before = map_spinning,
				  .stepped = end_thread,
				  .stepped_ends = true,
				  .other = kill_process,
				  .check = expect_killed_or_exited});
}

static void clone_and_kill(struct ktest *t)
{
	run(t, (struct encounter){.name = "a clone, its process is killed",
				  .make_stepped = met_new,
				  .before = map_spinning,
				  .stepped = clone_thread,
				  .other = kill_process,
				  .other_after = kill_process,
				  .check = expect_killed});
}

/* --- a child ends, and so does its parent, or it waits --- */

static void wait_for_child(void)
{
	if (scene.result == 1)
		scene.result = do_wait4(scene.child, STATUS, 0, 0);
}

static struct task *new_child(void (*fn)(void *arg))
{
	struct task *t = user_process_create("child", fn, NULL, scene.parent->process);

	BUG_ON(!t);
	scene.child = t->tid;
	return t;
}

/* The parent is the other side. */
static struct task *take_parent(void (*fn)(void *arg))
{
	task_set_entry(scene.parent, fn, NULL);
	return scene.parent;
}

/* Not started: it is the other side's task. */
static void make_parent(void)
{
	prepare();
	scene.parent = met_new(met_sleep_until_killed);
}

static void start_parent(void)
{
	make_parent();
	scene.parent->cpus_allowed = cpumask_of(1);
	wake_up_new_task(scene.parent);
}

/* Until only the child is left, at most. */
static void kill_parent(void)
{
	kill_process();
	while (user_task_count() > met.users + 1)
		let_others_run();
}

static void expect_status(void)
{
	u32 status;

	BUG_ON(get_user32(STATUS, &status));
	BUG_ON(status != STATUS_EXITED(EXIT_CODE));
	BUG_ON(do_wait4(-1, 0, 0, 0) != -ECHILD);
}

/* The other side does not come to a child that ends without a boundary of its own. */
static void wait_and_expect_status(void)
{
	wait_for_child();
	expect_status();
}

static void expect_child_reported(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result, scene.child);
	KEXPECT_EQ(t, process_wait(met.pid), 0);
	met_expect_nothing_left(t);
}

static void child_and_parent_end(struct ktest *t)
{
	run(t, (struct encounter){.name = "a child ends, its parent is killed",
				  .prepare = start_parent,
				  .make_stepped = new_child,
				  .stepped = end_thread,
				  .stepped_ends = true,
				  .other = kill_parent,
				  .other_after = kill_process,
				  .check = expect_killed});
}

static void child_ends_parent_waits(struct ktest *t)
{
	run(t, (struct encounter){.name = "a child ends, its parent waits",
				  .prepare = make_parent,
				  .make_stepped = new_child,
				  .make_other = take_parent,
				  .stepped = end_thread,
				  .stepped_ends = true,
				  .other_before = map_spinning,
				  .other = wait_for_child,
				  .other_after = wait_and_expect_status,
				  .check = expect_child_reported});
}

/* --- vfork --- */

static void map_and_keep_mm(void)
{
	map_code(exiting, sizeof(exiting));
	scene.mm = current->mm;
	atomic_inc(&scene.mm->users);
}

/* The child takes the CPU that is idle; see stay(). */
static void vfork(void)
{
	cpumask_t there = cpumask_of(0);

	cpumask_set(&there, 2);
	scene.result = met_clone(CODE, &there, CLONE_VM | CLONE_VFORK | SIGCHLD);
}

static void tell_child(void)
{
	mm_use(scene.mm);
	BUG_ON(put_user32(GO, 1));
	mm_use(NULL);
}

static void look_for_child(struct task *t, void *arg)
{
	bool *lives = arg;

	*lives |= t->process && t->mm == scene.mm && t != encounter_stepped_task();
}

/* It is born, and has not left the address space. */
static bool child_lives(void)
{
	bool lives = false;

	for_each_task(look_for_child, &lives);
	return lives;
}

/* The child is born: its parent, when it is woken, stays where it is stepped. */
static void stay(void)
{
	encounter_stepped_task()->cpus_allowed = cpumask_of(0);
}

/* It may not be born yet; before GO it does not end. */
static void let_child_end(void)
{
	scene.looks = 0;
	while (!child_lives() && scene.result == 1)
		let_others_run();
	stay();
	tell_child();
	while (user_task_count() > met.users + 1)
		let_others_run();
}

static bool child_takes_long(void)
{
	return ++scene.looks > LOOKS;
}

static void reap_child(void)
{
	BUG_ON(scene.result <= 0 || do_wait4(-1, STATUS, 0, 0) != scene.result);
	scene.child = scene.result;
	expect_status();
}

static void drop_mm(void)
{
	mm_put(scene.mm);
}

static void tell_child_and_drop_mm(void)
{
	tell_child();
	drop_mm();
}

static void kill_vforking(void)
{
	if (child_lives())
		stay();
	kill_process();
}

static void vfork_child_ends(struct ktest *t)
{
	run(t, (struct encounter){.name = "a vfork, its child ends",
				  .make_stepped = met_new,
				  .before = map_and_keep_mm,
				  .stepped = vfork,
				  .after = reap_child,
				  .other = let_child_end,
				  .other_waits = child_takes_long,
				  .other_after = drop_mm,
				  .check = expect_child_reported});
}

/* The child goes on, and the parent does not wait for it. */
static void vfork_and_kill(struct ktest *t)
{
	run(t, (struct encounter){.name = "a vfork, its parent is killed",
				  .make_stepped = met_new,
				  .before = map_and_keep_mm,
				  .stepped = vfork,
				  .other = kill_vforking,
				  .other_after = tell_child_and_drop_mm,
				  .check = expect_killed});
}

static const struct ktest_case cases[] = {
	{"thread", thread_ends},
	{"last_thread", last_thread_ends},
	{"clone", clone_and_kill},
	{"child_and_parent", child_and_parent_end},
	{"child_and_wait4", child_ends_parent_waits},
	{"vfork", vfork_child_ends},
	{"vfork_and_kill", vfork_and_kill},
};
KTEST_SUITE(race_threads_suite, "race-threads",
	    "the birth and the end of threads, at each instruction", true, cases);
