/*
 * Suite `race-futex`: a futex wait, and a wake at each of its instruction boundaries.
 *
 * The waker changes the word first. Oracle: who was queued by then is woken, once, and says 0; who
 * was not finds the new word and says EAGAIN; so wakes and woken waiters are equal in number.
 * Nobody sleeps on, and at the end nobody waits. The wake is stepped, too: a waiter that runs
 * without it overwrites its stack as soon as its wait is over. Where the words lie in two shared
 * objects, each is held at the end by who maps it, and by nobody else.
 */
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/futex.h"
#include "kernel/sched/timeout.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define WORD ADDR
#define SECOND_WORD (scene.second_word) /* in another bucket, mostly */
#define ALL 100

static struct {
	struct mm *mm;
	unsigned long second_word;
	long result; /* of the wait */
	long woken;  /* by the wakes, of either word */
	long moved;  /* by the requeue */
} scene;

static void prepare(void)
{
	scene.result = 1;
	scene.woken = scene.moved = 0;
	BUG_ON(put_user32(WORD, 0) || put_user32(SECOND_WORD, 0));
}

static void enter_mm(void)
{
	mm_use(scene.mm);
}

static void leave_mm(void)
{
	mm_use(NULL);
}

static void wait(void)
{
	scene.result = futex_wait(WORD, 0, FOREVER);
}

/* The time has come already: the timer's interrupt ends the sleep, or it never begins. */
static void wait_in_vain(void)
{
	scene.result = futex_wait(WORD, 0, 1);
}

static void change_and_wake(void)
{
	BUG_ON(put_user32(WORD, 1));
	scene.woken += futex_wake(WORD, 1);
}

/* As pthread_cond_broadcast() did: to the second word, and from there at once. */
static void change_and_requeue(void)
{
	BUG_ON(put_user32(WORD, 1));
	scene.moved += futex_requeue(WORD, 0, SECOND_WORD, ALL);
	scene.woken += futex_wake(SECOND_WORD, 1);
}

/* Without a wake: a requeue alone lets nobody go. */
static void only_requeue(void)
{
	scene.moved += futex_requeue(WORD, 0, SECOND_WORD, ALL);
}

#define STACK_USED 1024

/* What a wait has left on this stack. */
static __noinline void overwrite_stack(void)
{
	u64 words[STACK_USED / sizeof(u64)];

	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		WRITE_ONCE(words[i], 0);
}

/* The third task: it waits while the stepped side wakes it. */
static void wait_and_overwrite(void)
{
	enter_mm();
	wait();
	overwrite_stack();
	leave_mm();
}

static void enter_mm_after_waiter(void)
{
	enter_mm();
	encounter_start_third(wait_and_overwrite);
}

/* Without a word's new value: a wake-up without reason is an answer, too. */
static void expect_wake_or_none(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result, 0);
	KEXPECT(t, scene.woken <= 1);
	KEXPECT_EQ(t, futex_wake(WORD, ALL), 0);
}

static void expect_one_answer(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result, scene.woken ? 0 : -EAGAIN);
	KEXPECT(t, scene.woken <= 1);
	KEXPECT_EQ(t, futex_wake(WORD, ALL), 0);
	KEXPECT_EQ(t, futex_wake(SECOND_WORD, ALL), 0);
}

/* A wake may come too late for a wait whose time is over, but then it wakes nobody. */
static void expect_timeout_or_wake(struct ktest *t)
{
	if (scene.woken)
		KEXPECT_EQ(t, scene.result, 0);
	else
		KEXPECT(t, scene.result == -ETIMEDOUT || scene.result == -EAGAIN);
	KEXPECT_EQ(t, futex_wake(WORD, ALL), 0);
}

static void expect_timeout(struct ktest *t)
{
	KEXPECT_EQ(t, scene.result, -ETIMEDOUT);
	KEXPECT_EQ(t, futex_wake(WORD, ALL), 0);
	KEXPECT_EQ(t, futex_wake(SECOND_WORD, ALL), 0);
}

static void expect_woken_where_it_went(struct ktest *t)
{
	expect_one_answer(t);
	KEXPECT_EQ(t, scene.moved, scene.woken);
}

static void expect_holders(struct ktest *t)
{
	KEXPECT_EQ(t, audit_shared_objects(), 0);
}

static void expect_timeout_and_holders(struct ktest *t)
{
	expect_timeout(t);
	expect_holders(t);
}

static void expect_woken_and_holders(struct ktest *t)
{
	expect_woken_where_it_went(t);
	expect_holders(t);
}

static void map(struct ktest *t, unsigned long addr, int flags)
{
	KEXPECT_EQ(t,
		   do_mmap(addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
			   flags | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   addr);
}

/* The words lie in one private page, or each in a shared object of its own. */
static void run_in(struct ktest *t, struct encounter e, bool shared)
{
	e.prepare = prepare;
	e.other_before = enter_mm;
	if (!e.before)
		e.before = enter_mm;
	e.after = e.other_after = leave_mm;
	if (!e.stepped)
		e.stepped = wait;
	scene.mm = test_mm_enter();
	map(t, ADDR, shared ? MAP_SHARED : MAP_PRIVATE);
	if (shared)
		map(t, ADDR + PAGE_SIZE, MAP_SHARED);
	scene.second_word = ADDR + (shared ? PAGE_SIZE + 4 : 4);
	encounter_run(t, &e);
	test_mm_leave(scene.mm);
}

static void run(struct ktest *t, struct encounter e)
{
	run_in(t, e, false);
}

static void wake_private(struct ktest *t)
{
	run(t, (struct encounter){.name = "futex wait and wake",
				  .other = change_and_wake,
				  .check = expect_one_answer});
}

static void requeue(struct ktest *t)
{
	run(t, (struct encounter){.name = "futex wait and requeue",
				  .other = change_and_requeue,
				  .check = expect_woken_where_it_went});
}

static void wake_idle(struct ktest *t)
{
	run(t, (struct encounter){.name = "futex wait of an idle CPU",
				  .other = change_and_wake,
				  .check = expect_one_answer,
				  .cpu_is_idle = true});
}

static void timeout_and_wake(struct ktest *t)
{
	run(t, (struct encounter){.name = "a wait's time-out and a wake",
				  .stepped = wait_in_vain,
				  .other = change_and_wake,
				  .check = expect_timeout_or_wake});
}

static void timeout_and_requeue(struct ktest *t)
{
	run(t, (struct encounter){.name = "a wait's time-out and a requeue",
				  .stepped = wait_in_vain,
				  .other = only_requeue,
				  .check = expect_timeout});
}

static void requeue_shared(struct ktest *t)
{
	run_in(t,
	       (struct encounter){.name = "futex wait and requeue to another object",
				  .other = change_and_requeue,
				  .check = expect_woken_and_holders},
	       true);
}

static void timeout_and_requeue_shared(struct ktest *t)
{
	run_in(t,
	       (struct encounter){.name = "a wait's time-out and a requeue to another object",
				  .stepped = wait_in_vain,
				  .other = only_requeue,
				  .check = expect_timeout_and_holders},
	       true);
}

static void waiter_ends(struct ktest *t)
{
	run(t, (struct encounter){.name = "a wake, and who waited ends",
				  .before = enter_mm_after_waiter,
				  .stepped = change_and_wake,
				  .other = encounter_wake_third,
				  .check = expect_wake_or_none});
}

static const struct ktest_case cases[] = {
	{"wake", wake_private},
	{"requeue", requeue},
	{"wake_idle", wake_idle},
	{"timeout_and_wake", timeout_and_wake},
	{"timeout_and_requeue", timeout_and_requeue},
	{"requeue_shared", requeue_shared},
	{"timeout_and_requeue_shared", timeout_and_requeue_shared},
	{"waiter_ends", waiter_ends},
};
KTEST_SUITE(race_futex_suite, "race-futex", "a futex wait, and a wake at each instruction of it",
	    true, cases);
