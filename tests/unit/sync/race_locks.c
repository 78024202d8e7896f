/*
 * Suite `race-locks`: whoever waits for a lock, and whoever gives it back, at each instruction.
 *
 * For each kind of lock that can make its waiter sleep or halt: the waiter is stepped while the
 * holder gives the lock back, and the holder while somebody comes who has to wait. Oracle: nobody
 * waits for ever, nobody is inside with a writer, and the lock ends free, with no sleepers.
 *
 * Not analysed: the steps take a lock in one function and give it back in another.
 */
#include "kernel/debug/panic.h"
#include "kernel/sched/wait.h"
#include "kernel/sync/spinlock.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"

static struct rwsem sem;
static struct spinlock ptl = SPINLOCK_INIT(LOCK_PTE), lock = SPINLOCK_INIT(LOCK_TEST);
static struct wait_queue queue;
static struct {
	atomic_t readers, writers; /* inside */
	bool event;
} scene;

/* --- the read-write semaphore --- */

static void prepare_sem(void)
{
	rwsem_init(&sem);
	atomic_set(&scene.readers, 0);
	atomic_set(&scene.writers, 0);
}

static void enter_read(void) __no_thread_safety
{
	down_read(&sem);
	atomic_inc(&scene.readers);
	BUG_ON(atomic_read(&scene.writers));
}

static void leave_read(void) __no_thread_safety
{
	BUG_ON(atomic_read(&scene.writers));
	atomic_dec(&scene.readers);
	up_read(&sem);
}

static void enter_write(void) __no_thread_safety
{
	down_write(&sem);
	BUG_ON(atomic_inc_return(&scene.writers) != 1 || atomic_read(&scene.readers));
}

static void leave_write(void) __no_thread_safety
{
	BUG_ON(atomic_dec_return(&scene.writers) || atomic_read(&scene.readers));
	up_write(&sem);
}

static void downgrade(void) __no_thread_safety
{
	BUG_ON(atomic_dec_return(&scene.writers) || atomic_read(&scene.readers));
	atomic_inc(&scene.readers);
	downgrade_write(&sem);
}

static void read(void)
{
	enter_read();
	leave_read();
}

static void write(void)
{
	enter_write();
	leave_write();
}

/* What a holder does may be asked for twice: at the boundary, and ahead of it. */
static bool holds;

static void hold_read(void)
{
	enter_read();
	holds = true;
}

static void hold_write(void)
{
	enter_write();
	holds = true;
}

static void end_read(void)
{
	if (holds)
		leave_read();
	holds = false;
}

static void end_write(void)
{
	if (holds)
		leave_write();
	holds = false;
}

/* Readers that wait may go on at once: the former writer goes on to read until they have. */
static void end_write_by_downgrade(void)
{
	if (holds)
		downgrade();
	holds = false;
}

static void expect_free_sem(struct ktest *t)
{
	KEXPECT_EQ(t, sem.state, 0);
	KEXPECT(t, list_empty(&sem.wq.waiters));
	KEXPECT_EQ(t, atomic_read(&scene.readers), 0);
	KEXPECT_EQ(t, atomic_read(&scene.writers), 0);
}

/* Who comes queues up behind nobody, and is let in beside this reader. */
static void hold_read_as_if_with_waiters(void)
{
	hold_read();
	__atomic_or_fetch(&sem.state, RWSEM_WAITERS, __ATOMIC_SEQ_CST);
}

/* The third task: it waits while the stepped side gives the lock back. */
static void wait_and_leave(void)
{
	enter_read();
	/* Else whoever granted it still looks at this task, which is about to end. */
	BUG_ON(spin_is_locked(&sem.wq.lock));
	leave_read();
}

static void enter_write_ahead_of_waiter(void)
{
	enter_write();
	encounter_start_third(wait_and_leave);
}

#define SEM .prepare = prepare_sem, .check = expect_free_sem

/* --- spinlocks --- */

static void take_ptl(void) __no_thread_safety
{
	spin_lock_preemptible(&ptl, 0);
}

static void give_ptl(void) __no_thread_safety
{
	spin_unlock_preemptible(&ptl);
}

static void take_and_give_ptl(void)
{
	take_ptl();
	give_ptl();
}

static void take_lock(void) __no_thread_safety
{
	spin_lock(&lock);
}

static void give_lock(void) __no_thread_safety
{
	spin_unlock(&lock);
}

static void take_and_give_lock(void)
{
	take_lock();
	give_lock();
}

static void hold_ptl(void)
{
	take_ptl();
	holds = true;
}

static void hold_lock(void)
{
	take_lock();
	holds = true;
}

static void end_ptl(void)
{
	if (holds)
		give_ptl();
	holds = false;
}

static void end_lock(void)
{
	if (holds)
		give_lock();
	holds = false;
}

static void expect_free_locks(struct ktest *t)
{
	KEXPECT(t, !spin_is_locked(&ptl) && !spin_is_locked(&lock));
	KEXPECT_EQ(t, ptl.sleepers, 0);
	KEXPECT_EQ(t, lock.sleepers, 0);
}

/* --- events --- */

static void prepare_event(void)
{
	wait_queue_init(&queue);
	scene.event = false;
}

static void await_event(void)
{
	wait_event(&queue, READ_ONCE(scene.event));
}

static void let_happen(void)
{
	WRITE_ONCE(scene.event, true);
	wake_up_all(&queue);
}

static void expect_no_waiters(struct ktest *t)
{
	KEXPECT(t, list_empty(&queue.waiters));
}

/* --- the cases --- */

#define CASE(id, text, ...)                                                                        \
	static void id(struct ktest *t)                                                            \
	{                                                                                          \
		static const struct encounter e = {.name = text, __VA_ARGS__};                     \
		encounter_run(t, &e);                                                              \
	}
CASE(reader_and_writer, "a reader, and a writer who comes", SEM, .stepped = read, .other = write)
CASE(writer_and_reader, "a writer, and a reader who comes", SEM, .stepped = write, .other = read)
CASE(writer_and_writer, "a writer, and a second one", SEM, .stepped = write, .other = write)
CASE(reader_waits, "a reader waits for a writer", SEM, .stepped = read, .other_before = hold_write,
     .other = end_write, .other_after = end_write)
CASE(reader_waits_for_downgrade, "a reader waits, the writer downgrades", SEM, .stepped = read,
     .other_before = hold_write, .other = end_write_by_downgrade, .other_after = leave_read)
CASE(writer_waits, "a writer waits for a reader", SEM, .stepped = write, .other_before = hold_read,
     .other = end_read, .other_after = end_read)
CASE(last_reader_leaves, "the last reader leaves, a writer comes", SEM, .before = enter_read,
     .stepped = leave_read, .other = write)
CASE(writer_leaves, "a writer leaves, a reader comes", SEM, .before = enter_write,
     .stepped = leave_write, .other = read)
CASE(writer_downgrades, "a writer downgrades, a writer comes", SEM, .before = enter_write,
     .stepped = downgrade, .after = leave_read, .other = write)

CASE(reader_granted, "a reader is let in, another one leaves", SEM, .stepped = read,
     .other_before = hold_read_as_if_with_waiters, .other = end_read, .other_after = end_read)
CASE(waiter_ends, "a writer leaves, and who waited ends", SEM,
     .before = enter_write_ahead_of_waiter, .stepped = leave_write, .other = encounter_wake_third)

CASE(ptl_sleeper, "a sleeper on a PTE page's lock", .stepped = take_and_give_ptl,
     .other_before = hold_ptl, .other = end_ptl, .other_after = end_ptl, .check = expect_free_locks)
CASE(ptl_halted, "a halted CPU's wait for a PTE page's lock", .stepped = take_and_give_ptl,
     .other_before = hold_ptl, .other = end_ptl, .other_after = end_ptl, .check = expect_free_locks,
     .cpu_is_idle = true)
CASE(ptl_unlock, "the unlock of a PTE page's lock, a waiter comes", .before = take_ptl,
     .stepped = give_ptl, .other = take_and_give_ptl, .check = expect_free_locks)
CASE(spin_waits, "the wait for a spinlock", .stepped = take_and_give_lock,
     .other_before = hold_lock, .other = end_lock, .other_after = end_lock,
     .check = expect_free_locks)
CASE(spin_unlock_steps, "the unlock of a spinlock, a waiter comes", .before = take_lock,
     .stepped = give_lock, .other = take_and_give_lock, .check = expect_free_locks)

CASE(event, "a wait for an event", .prepare = prepare_event, .stepped = await_event,
     .other = let_happen, .check = expect_no_waiters)
CASE(event_idle, "a wait for an event that leaves the CPU idle", .prepare = prepare_event,
     .stepped = await_event, .other = let_happen, .check = expect_no_waiters, .cpu_is_idle = true)

static const struct ktest_case cases[] = {
	{"reader_and_writer", reader_and_writer},
	{"writer_and_reader", writer_and_reader},
	{"writer_and_writer", writer_and_writer},
	{"reader_waits", reader_waits},
	{"reader_waits_for_downgrade", reader_waits_for_downgrade},
	{"writer_waits", writer_waits},
	{"last_reader_leaves", last_reader_leaves},
	{"writer_leaves", writer_leaves},
	{"writer_downgrades", writer_downgrades},
	{"reader_granted", reader_granted},
	{"waiter_ends", waiter_ends},
	{"ptl_sleeper", ptl_sleeper},
	{"ptl_halted", ptl_halted},
	{"ptl_unlock", ptl_unlock},
	{"spin_waits", spin_waits},
	{"spin_unlock", spin_unlock_steps},
	{"event", event},
	{"event_idle", event_idle},
};
KTEST_SUITE(race_locks_suite, "race-locks",
	    "who waits for a lock, and who gives it back, at each instruction", true, cases);
