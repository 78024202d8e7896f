/*
 * A model of those who sleep until somebody else has done something, in Promela, with the store
 * buffers of the CPUs; `./pteron model` has spin visit every state of it. It follows kernel/process/futex.c,
 * kernel/process/process.c (the end of a process), kernel/sync/spinlock.c and the halt of pv/native/native.c, with their
 * names. Where the kernel has a full barrier by a locked instruction, the model has one, and nowhere
 * else: an unlock and a change of a task's state are such.
 *
 * What must hold: the tasks end, so nobody sleeps for ever; a futex waiter says that it was woken if,
 * and only if, somebody woke it; a lock has one owner.
 *
 * What it does not show: time-outs, requeues, a bucket that several futexes share, more sleepers than
 * two.
 *
 * Configurations:
 *
 *	-DCONFIG_FUTEX     a wait, a wake, and the end of the process, in any order
 *	-DCONFIG_SLEEPER   three tasks take a PTE page's lock; who waits for it sleeps
 *	-DCONFIG_HALT      the same, and the waiter's CPU halts until it is kicked
 *
 * What breaks it; -DBUG_NAME puts one in.
 *
 *	futex-read-before-lock       FUTEX
 *	futex-state-after-unlock     FUTEX
 *	futex-wake-looks-first       FUTEX
 *	exit-looks-first             FUTEX
 *	exit-work-before-state       FUTEX
 *	exit-work-no-barrier         FUTEX
 *	sleeper-head-no-barrier      SLEEPER
 *	sleeper-counted-late         SLEEPER
 *	sleeper-state-after-look     SLEEPER
 *	unlocker-looks-first         SLEEPER
 *	halt-head-no-barrier         HALT
 *	halt-count-no-barrier        HALT
 *	halt-no-look                 HALT
 *	halt-look-with-interrupts    HALT
 */
#ifdef CONFIG_FUTEX

#define NR_TASKS 3
#define WORD 0	/* the futex */
#define LOCK 1	/* its bucket's */
#define WORK 2	/* the waiter's TASK_WORK_EXIT */
#define STATE 3 /* the waiter's; 1: TASK_INTERRUPTIBLE */
#define NR_CELLS 4
#include "tso.pml"

bool queued, woken; /* under LOCK */
bool saw_wake;	    /* what the waiter says */
byte woke;	    /* what the waker says */

/* The run queue's lock makes it one step. */
inline wake_up_task(t)
{
	locked_set(t, STATE, 0)
}

proctype waiter(byte t)
{
	byte now, work;

#ifdef BUG_FUTEX_READ_BEFORE_LOCK
	load(t, WORD, now);
	lock(t, LOCK);
#else
	lock(t, LOCK);
	load(t, WORD, now);
#endif
	if
	:: now == 0 ->
		queued = true;
#ifdef BUG_FUTEX_STATE_AFTER_UNLOCK
		unlock(t, LOCK);
		locked_set(t, STATE, 1);
#else
#ifdef BUG_EXIT_WORK_BEFORE_STATE
		load(t, WORK, work);
#endif
		locked_set(t, STATE, 1);
		unlock(t, LOCK);
#endif
#ifndef BUG_EXIT_WORK_BEFORE_STATE
		load(t, WORK, work);
#endif
		if
#ifdef BUG_FUTEX_STATE_AFTER_UNLOCK
		:: !work -> mem[STATE] == 0
#else
		:: !woken && !work -> mem[STATE] == 0 /* schedule() */
#endif
		:: else
		fi;
		locked_set(t, STATE, 0);
		lock(t, LOCK);
		saw_wake = woken;
		queued = false;
		unlock(t, LOCK)
	:: else ->
		unlock(t, LOCK)
	fi
}

proctype waker(byte t)
{
	store(t, WORD, 1); /* user mode's, with no barrier */
#ifdef BUG_FUTEX_WAKE_LOOKS_FIRST
	if
	:: queued ->
#endif
	lock(t, LOCK);
	if
	:: queued && !woken ->
		queued = false;
		woken = true;
		woke++;
		wake_up_task(t)
	:: else
	fi;
	unlock(t, LOCK)
#ifdef BUG_FUTEX_WAKE_LOOKS_FIRST
	:: else
	fi
#endif
}

proctype exit_group(byte t)
{
	byte state;

#ifdef BUG_EXIT_LOOKS_FIRST
	load(t, STATE, state);
	locked_set(t, WORK, 1);
#else
#ifdef BUG_EXIT_WORK_NO_BARRIER
	store(t, WORK, 1);
#else
	locked_set(t, WORK, 1);
#endif
	load(t, STATE, state);
#endif
	if
	:: state == 1 -> wake_up_task(t)
	:: else
	fi
}

/* Without the end of the process a lost wake cannot be hidden by it. */
init
{
	atomic {
		run waiter(0);
		if
		:: run waker(1)
		:: run exit_group(2)
		:: run waker(1); run exit_group(2)
		fi
	}
	_nr_pr == 2; /* all but this and memory() */
	assert(saw_wake == (woke == 1))
}

#else /* the lock */

#define NR_TASKS 3
#define HEAD 0
#define TAIL 1
#define SLEEPERS 2 /* a cell for each task: their sum is l->sleepers */
#define BUCKET 5   /* the lock of the list of sleepers */
#define NR_CELLS 6
#include "tso.pml"

#define sleepers (mem[SLEEPERS] + mem[SLEEPERS + 1] + mem[SLEEPERS + 2])

byte owners;
byte record[NR_TASKS]; /* 1 + the ticket that the task waits for; under BUCKET, or the CPU's own */
bool asleep[NR_TASKS]; /* its state; in HALT: it has not been kicked since interrupts went off */

inline count_sleeper(t, n)
{
#ifdef BUG_HALT_COUNT_NO_BARRIER
	store(t, SLEEPERS + t, n)
#else
	locked_set(t, SLEEPERS + t, n)
#endif
}

#ifdef CONFIG_SLEEPER
inline add_record(t, r)
{
	lock(t, BUCKET);
	record[t] = r;
	unlock(t, BUCKET)
}

inline wait(t, ticket)
{
	add_record(t, ticket + 1);
#ifndef BUG_SLEEPER_COUNTED_LATE
	count_sleeper(t, 1);
#endif
	do
	::
#ifdef BUG_SLEEPER_STATE_AFTER_LOOK
		load(t, HEAD, head);
		asleep[t] = true;
#else
		atomic { is_drained(t) -> asleep[t] = true } /* xchg */
		load(t, HEAD, head);
#endif
#ifdef BUG_SLEEPER_COUNTED_LATE
		count_sleeper(t, 1);
#endif
		if
		:: head == ticket -> break
		:: else -> !asleep[t] /* schedule() */
		fi
	od;
	asleep[t] = false;
	count_sleeper(t, 0);
	add_record(t, 0)
}

inline kick_next(t)
{
	load(t, HEAD, head);
	lock(t, BUCKET);
	n = 0;
	do
	:: n < NR_TASKS ->
		if
		:: record[n] == head + 1 -> asleep[n] = false
		:: else
		fi;
		n++
	:: else -> break
	od;
	n = 0;
	unlock(t, BUCKET)
}
#else
/* A kick that comes while interrupts are off stays pending, and ends the halt at once. */
inline wait(t, ticket)
{
	do
	::
		record[t] = ticket + 1;
		count_sleeper(t, 1);
#ifdef BUG_HALT_LOOK_WITH_INTERRUPTS
		load(t, HEAD, head);
		asleep[t] = true;
#else
		asleep[t] = true;
		load(t, HEAD, head);
#endif
#ifdef BUG_HALT_NO_LOOK
		head = ticket + 1;
#endif
		if
		:: head == ticket
		:: else -> !asleep[t]
		fi;
		asleep[t] = false;
		count_sleeper(t, 0);
		record[t] = 0;
		load(t, HEAD, head);
		if
		:: head == ticket -> break
		:: else
		fi
	od
}

inline kick_next(t)
{
	load(t, HEAD, head);
	n = 0;
	do
	:: n < NR_TASKS ->
		if
		:: record[n] == head + 1 -> asleep[n] = false
		:: else
		fi;
		n++
	:: else -> break
	od;
	n = 0
}
#endif

inline unlock_ticket(t)
{
#ifdef BUG_UNLOCKER_LOOKS_FIRST
	seen = sleepers;
	atomic { is_drained(t); mem[HEAD]++ }
#else
#if defined(BUG_SLEEPER_HEAD_NO_BARRIER) || defined(BUG_HALT_HEAD_NO_BARRIER)
	store(t, HEAD, ticket + 1);
#else
	atomic { is_drained(t); mem[HEAD]++ }
#endif
	seen = sleepers;
#endif
	if
	:: seen -> kick_next(t)
	:: else
	fi
}

proctype locker(byte t)
{
	byte ticket, head, seen, n;

	atomic { is_drained(t); ticket = mem[TAIL]; mem[TAIL]++ }
	load(t, HEAD, head);
	if
	:: head == ticket
	:: else -> wait(t, ticket)
	fi;
	owners++;
	assert(owners == 1);
	owners--;
	unlock_ticket(t)
}

init
{
	atomic {
		run locker(0);
		run locker(1);
		run locker(2)
	}
}
#endif
