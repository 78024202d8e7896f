/*
 * Suite `race-freezer`: the freezer, met at every instruction of a task that it stops; and a task
 * met at every instruction of the freezer.
 *
 * Tasks on their way to sleep, to user mode, to their end, and through clone. Oracle: when
 * freezer_freeze() has returned, every user task is asleep and none ends; whoever is woken then,
 * and gets the CPU, touches no user memory, nobody runs in user mode, and no frame comes or goes.
 * After the thaw all of them go on, and nobody sleeps for ever.
 */
#include "kernel/sched/freezer.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/process/futex.h"
#include "kernel/process/process.h"
#include "kernel/sched/timeout.h"
#include "mm/frame/page.h"
#include "mm/mm.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "pv/pv_ops.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"
#include "tests/unit/lib/met.h"

#define ADDR 0x40000000UL
#define WORD ADDR
#define SHARED_WORD (ADDR + PAGE_SIZE)
#define CODE (ADDR + 64)
#define COUNT (ADDR + 128) /* what user mode, or who stands for it, changes */
#define EXIT_CODE 7
/* Boundaries of a long way, for each round. */
#define SAMPLE 250
#define SAMPLE_OF_SLOW 40
#define THREAD_FLAGS 0x10800UL /* CLONE_SIGHAND, CLONE_THREAD */
/* What others need to run until they halt or spin, where CPUs take turns. */
#define SETTLE 6
#define SETTLE_MAX 500
/* At a freezer that needs one round for those that rest already. */
#define LOOKS_TO_RUN 16
#define LOOKS_TO_FREEZE 1

/* mov $COUNT, %ecx; 1: lock incl (%rcx); pause; jmp 1b */
static const u8 counting[] = {0xb9, 0x80, 0x00, 0x00, 0x40, 0xf0,
			      0xff, 0x01, 0xf3, 0x90, 0xeb, 0xf9};

static struct {
	struct mm *mm;	     /* of the user task, with a reference; NULL: none is needed */
	bool is_freezing;    /* the freezer is at work */
	bool may_freeze;     /* the stepped side is ready for it */
	unsigned looks;	     /* at it, meanwhile */
	unsigned violations; /* against the oracle, while frozen */
} scene;

static void prepare(void)
{
	met_prepare();
	scene.mm = NULL;
	scene.is_freezing = scene.may_freeze = false;
	scene.violations = 0;
}

/* --- the user task --- */

static void map_page(void)
{
	met_map_code(ADDR, CODE, counting, sizeof(counting));
	BUG_ON(put_user32(WORD, 0) || put_user32(COUNT, 0));
}

static void map_page_and_keep_it(void)
{
	map_page();
	scene.mm = current->mm;
	atomic_inc(&scene.mm->users);
}

/* In a shared object, with nobody else in it. */
static void map_shared_page_and_keep_it(void)
{
	map_page_and_keep_it();
	BUG_ON(do_mmap(SHARED_WORD, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) != SHARED_WORD);
	BUG_ON(put_user32(SHARED_WORD, 0));
}

static void drop_page(void)
{
	mm_put(scene.mm);
}

/* As a system call returns, and what user mode then does. */
static void return_and_count(void)
{
	u32 n;

	freezer_checkpoint();
	BUG_ON(get_user32(COUNT, &n) || put_user32(COUNT, n + 1));
}

static void wait_and_count(void)
{
	futex_wait(WORD, 0, FOREVER);
	return_and_count();
}

/* Until it is killed: nobody can name the futex any more when its memory is unmapped. */
static void wait_in_shared_object(void)
{
	futex_wait(SHARED_WORD, 0, FOREVER);
	freezer_checkpoint();
}

static struct pt_regs counting_regs(void)
{
	return (struct pt_regs){.ip = CODE, .cs = USER_CS, .ss = USER_DS, .flags = FLAGS_IF};
}

static void go_to_user_mode(void)
{
	*task_user_regs(current) = counting_regs();
	pv_enter_user(task_user_regs(current));
}

static void end(void)
{
	do_exit_thread(EXIT_CODE);
}

/* The new thread has the third CPU for itself. */
static void clone_thread(void)
{
	const cpumask_t there = cpumask_of(2);

	met_clone(CODE, &there, CLONE_VM | THREAD_FLAGS);
}

/* --- the freezer's side --- */

static u32 read_count(void)
{
	u32 n = 0;

	if (!scene.mm)
		return 0;
	mm_use(scene.mm);
	BUG_ON(get_user32(COUNT, &n));
	mm_use(NULL);
	return n;
}

static void note_awake(struct task *t, void *arg)
{
	bool *awake = arg;

	*awake |= t->process && (READ_ONCE(t->ending) || READ_ONCE(t->on_cpu) ||
				 READ_ONCE(t->on_rq) || t->state != TASK_INTERRUPTIBLE);
}

static bool is_anybody_awake(void)
{
	bool awake = false;

	return for_each_task(note_awake, &awake) || awake;
}

/* As a timer may do: sleepers bear it. */
static void wake_without_reason(struct task *t, void *arg __unused)
{
	if (t->process)
		wake_up_task(t);
}

/* Who has been woken runs, until it is at rest again. */
static void let_them_run(void)
{
	for (unsigned i = 0; i < SETTLE || (is_anybody_awake() && i < SETTLE_MAX); i++)
		cpu_relax();
}

static void look(void)
{
	u32 count = read_count();
	s64 free = page_kind_count(PAGE_FREE);

	scene.violations += is_anybody_awake();
	for_each_task(wake_without_reason, NULL);
	let_them_run();
	scene.violations += is_anybody_awake();
	scene.violations += read_count() != count || page_kind_count(PAGE_FREE) != free;
}

static void begin_freeze(void)
{
	scene.looks = 0;
	WRITE_ONCE(scene.is_freezing, true);
	freezer_freeze();
}

static void end_freeze(void)
{
	WRITE_ONCE(scene.is_freezing, false);
	freezer_thaw();
}

static void freeze_look_and_thaw(void)
{
	begin_freeze();
	look();
	end_freeze();
}

/* The freezer waits for the stepped side. */
static bool freezer_waits(void)
{
	return READ_ONCE(scene.is_freezing) && ++scene.looks > LOOKS_TO_FREEZE;
}

static void wake_waiter(void)
{
	mm_use(scene.mm);
	BUG_ON(put_user32(WORD, 1));
	futex_wake(WORD, 1);
	mm_use(NULL);
}

static void freeze_and_wake(void)
{
	freeze_look_and_thaw();
	wake_waiter();
}

/* Its object is held by the wait alone, if it waits already. */
static void unmap_freeze_and_kill(void)
{
	mm_use(scene.mm);
	BUG_ON(do_munmap(SHARED_WORD, PAGE_SIZE));
	mm_use(NULL);
	begin_freeze();
	scene.violations += audit_shared_objects();
	look();
	end_freeze();
	process_kill(met.pid, SIGKILL);
}

/* After the thaw it counts again. */
static void freeze_and_kill(void)
{
	u32 count;

	freeze_look_and_thaw();
	count = read_count();
	while (read_count() == count)
		let_others_run();
	process_kill(met.pid, SIGKILL);
}

static void freeze_until_end(void)
{
	freeze_look_and_thaw();
	scene.violations += user_task_count() != met.users;
}

static void kill_and_drop_page(void)
{
	process_kill(met.pid, SIGKILL);
	drop_page();
}

/* --- what is left --- */

static void expect_order(struct ktest *t, int status)
{
	KEXPECT_EQ(t, process_wait(met.pid), status);
	KEXPECT_EQ(t, scene.violations, 0);
	met_expect_nothing_left(t);
}

static void expect_end(struct ktest *t)
{
	expect_order(t, 0);
}

static void expect_killed(struct ktest *t)
{
	expect_order(t, STATUS_SIGNALLED(SIGKILL));
}

static void expect_exited(struct ktest *t)
{
	expect_order(t, STATUS_EXITED(EXIT_CODE));
}

static void run(struct ktest *t, struct encounter e)
{
	if (!met_begin(t))
		return;
	e.prepare = prepare;
	e.case_sleeps = true;
	encounter_run(t, &e);
}

static void freeze_sleeper(struct ktest *t)
{
	run(t, (struct encounter){.name = "a futex wait, frozen",
				  .make_stepped = met_new,
				  .before = map_page_and_keep_it,
				  .stepped = wait_and_count,
				  .sample = SAMPLE,
				  .other = freeze_and_wake,
				  .other_waits = freezer_waits,
				  .other_after = drop_page,
				  .check = expect_end});
}

static void freeze_last_holder(struct ktest *t)
{
	run(t, (struct encounter){.name = "the last holder of shared memory, frozen",
				  .make_stepped = met_new,
				  .before = map_shared_page_and_keep_it,
				  .stepped = wait_in_shared_object,
				  .sample = SAMPLE / 4,
				  .other = unmap_freeze_and_kill,
				  .other_waits = freezer_waits,
				  .other_after = drop_page,
				  .check = expect_killed});
}

static void freeze_on_way_to_user(struct ktest *t)
{
	run(t, (struct encounter){.name = "the way to user mode, frozen",
				  .make_stepped = met_new,
				  .before = map_page_and_keep_it,
				  .stepped = go_to_user_mode,
				  .stepped_ends = true,
				  .other = freeze_and_kill,
				  .other_waits = freezer_waits,
				  .other_after = drop_page,
				  .check = expect_killed});
}

static void freeze_at_end(struct ktest *t)
{
	run(t, (struct encounter){.name = "the end of a process, frozen",
				  .make_stepped = met_new,
				  .before = map_page,
				  .stepped = end,
				  .stepped_ends = true,
				  .cpu_is_idle = true, /* and frees the task */
				  .sample = SAMPLE_OF_SLOW,
				  .other = freeze_until_end,
				  .other_waits = freezer_waits,
				  .check = expect_exited});
}

static void freeze_clone(struct ktest *t)
{
	run(t, (struct encounter){.name = "a clone, frozen",
				  .make_stepped = met_new,
				  .before = map_page_and_keep_it,
				  .stepped = clone_thread,
				  .sample = SAMPLE / 4,
				  .other = freeze_look_and_thaw,
				  .other_waits = freezer_waits,
				  .other_after = kill_and_drop_page,
				  .check = expect_killed});
}

/* --- the freezer is stepped --- */

/* Its sleep has outlasted a freeze: it was asked to stop, and will find the freeze over. */
static void map_page_and_be_asked(void)
{
	map_page_and_keep_it();
	__atomic_or_fetch(&current->work, TASK_WORK_FREEZE, __ATOMIC_SEQ_CST);
}

static void park_and_wait(void)
{
	freezer_checkpoint();
	wait_and_count();
}

/* It comes to rest in any case, in the second round. */
static void rest_at_last(void)
{
	if (freezer_waits())
		freezer_checkpoint();
}

static void look_and_thaw(void)
{
	look();
	end_freeze();
	wake_waiter();
}

static void freeze_and_look(void)
{
	begin_freeze();
	look();
}

static void freeze_stepped(struct ktest *t)
{
	run(t, (struct encounter){.name = "the freezer, a task goes from one sleep to another",
				  .make_other = met_new,
				  .stepped = begin_freeze,
				  .sample = SAMPLE,
				  .after = look_and_thaw,
				  .other_before = map_page_and_be_asked,
				  .other = park_and_wait,
				  .other_idle = rest_at_last,
				  .other_after = drop_page,
				  .check = expect_end});
}

/* It has been woken, and its CPU is yet to be told. */
static bool waits_for_its_cpu(void)
{
	const struct task *t = encounter_other_task();
	bool queued = READ_ONCE(t->on_rq) && !READ_ONCE(t->on_cpu);

	scene.looks = queued ? scene.looks + 1 : 0;
	return scene.looks > LOOKS_TO_RUN;
}

static void thaw_stepped(struct ktest *t)
{
	run(t, (struct encounter){.name = "the thaw, a task goes on",
				  .make_other = met_new,
				  .before = freeze_and_look,
				  .stepped = end_freeze,
				  .sample = SAMPLE,
				  .after = wake_waiter,
				  .other_waits = waits_for_its_cpu,
				  .other_before = map_page_and_be_asked,
				  .other = park_and_wait,
				  .other_idle = rest_at_last,
				  .other_after = drop_page,
				  .check = expect_end});
}

/* --- a parked task is woken without a reason, and the thaw comes --- */

static void map_page_and_be_frozen(void)
{
	map_page_and_keep_it();
	smp_store_release(&scene.may_freeze, true);
	while (!(READ_ONCE(current->work) & TASK_WORK_FREEZE))
		let_others_run();
}

static void thaw_once(void)
{
	if (scene.is_freezing)
		end_freeze();
}

/* The end of the freeze comes to a task that is asleep, if it has come to none that was awake. */
static void freeze_and_wake_once(void)
{
	if (scene.is_freezing && !is_anybody_awake())
		end_freeze();
	if (!smp_load_acquire(&scene.may_freeze))
		return;
	scene.may_freeze = false;
	begin_freeze();
	for_each_task(wake_without_reason, NULL);
}

static void park_stepped(struct ktest *t)
{
	run(t, (struct encounter){.name = "a parked task, woken and thawed",
				  .make_stepped = met_new,
				  .before = map_page_and_be_frozen,
				  .stepped = return_and_count,
				  .sample = SAMPLE,
				  .other = thaw_once,
				  .other_idle = freeze_and_wake_once,
				  .other_waits = freezer_waits,
				  .other_after = drop_page,
				  .check = expect_end});
}

static const struct ktest_case cases[] = {
	{"sleeper", freeze_sleeper}, {"way_to_user", freeze_on_way_to_user},
	{"end", freeze_at_end},	     {"clone", freeze_clone},
	{"freeze", freeze_stepped},  {"thaw", thaw_stepped},
	{"parked", park_stepped},    {"last_holder", freeze_last_holder},
};
KTEST_SUITE(race_freezer_suite, "race-freezer",
	    "the freezer, at each instruction of those it stops", true, cases);
