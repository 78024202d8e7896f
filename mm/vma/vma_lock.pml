/*
 * A model of the locks of VMAs, in Promela, with the store buffers of the CPUs; `./pteron model` has
 * spin visit every state of it. It follows mm/vma/mmap_lock.h, mm/vma/mmap_lock.c and kernel/sched/wait.h, with
 * their names. Where the kernel has a full barrier by a locked instruction, the model has one, and
 * nowhere else.
 *
 * One VMA, two readers, of which one faults twice, and two writers, each of which changes the VMA
 * once. In the kernel's count of readers each has a cell of its own here, so that a count without a
 * barrier can be shown; their sum is read in one step, as the count is.
 *
 * What must hold:
 *  - no fault is inside the VMA while a writer changes it;
 *  - the tasks end: nobody waits for a wake-up that nobody sends.
 *
 * What it does not show: that the memory of a VMA stays while somebody may read its mark (references),
 * and the mark of a VMA that is gone.
 *
 * Configurations:
 *
 *	-DCONFIG_VMA       the whole of it
 *
 * What breaks it; -DBUG_NAME puts one in.
 *
 *	vma-mark-no-barrier       VMA
 *	vma-count-no-barrier      VMA
 *	vma-look-before-count     VMA
 *	vma-readers-before-mark   VMA
 *	vma-waiter-before-leave   VMA
 *	vma-leave-no-barrier      VMA
 *	vma-sleep-after-look      VMA
 *	vma-marks-after-unlock    VMA
 */
#define NR_TASKS 4  /* writers are 0 and 1, readers 2 and 3 */
#define MARK 0	    /* v->mark */
#define SEQ 1	    /* mm->lock_seq */
#define READERS 0   /* v->readers: the cells of tasks 2 and 3 */
#define MMAP_LOCK 4 /* held for writing */
#define WQ_LOCK 5   /* mm->vma_waiters.lock */
#define NR_CELLS 6
#include "../../kernel/sync/tso.pml"

byte inside;	/* readers in the VMA */
bool changing;	/* a writer, the VMA */
bool waiting;	/* a writer is in the queue: under WQ_LOCK */
bool blocked;	/* its state; the run queue's lock keeps this exact */

/* No writer stores there: memory is what it sees. */
inline count_readers(into)
{
	d_step { into = mem[READERS + 2] + mem[READERS + 3] }
}


/* --- the writer's side --- */

inline wait_for_readers(t)
{
	count_readers(r);
	do
	:: r == 0 -> break
	:: else ->
#ifdef BUG_VMA_SLEEP_AFTER_LOOK
		count_readers(r);
		lock(t, WQ_LOCK);
		waiting = true;
		blocked = true;
		unlock(t, WQ_LOCK);
#else
		lock(t, WQ_LOCK);
		waiting = true;
		blocked = true; /* xchg, and the unlock is a barrier as well */
		unlock(t, WQ_LOCK);
		count_readers(r);
#endif
		if
		:: r == 0
		:: else -> !blocked /* schedule() */
		fi;
		blocked = false;
		lock(t, WQ_LOCK);
		waiting = false;
		unlock(t, WQ_LOCK);
		count_readers(r)
	od
}

inline vma_start_write(t)
{
	load(t, MARK, m);
	load(t, SEQ, s);
	if
	:: m == s
	:: else ->
#ifdef BUG_VMA_READERS_BEFORE_MARK
		wait_for_readers(t);
		locked_set(t, MARK, s)
#else
#ifdef BUG_VMA_MARK_NO_BARRIER
		store(t, MARK, s);
#else
		locked_set(t, MARK, s);
#endif
		wait_for_readers(t)
#endif
	fi
}

proctype writer(byte t)
{
	byte m, s, r;

	lock(t, MMAP_LOCK);
	vma_start_write(t);
	changing = true;
	assert(inside == 0);
	changing = false;
#ifdef BUG_VMA_MARKS_AFTER_UNLOCK
	unlock(t, MMAP_LOCK);
	load(t, SEQ, s);
	store(t, SEQ, s + 1)
#else
	load(t, SEQ, s);
	store(t, SEQ, s + 1);
	unlock(t, MMAP_LOCK)
#endif
}

/* --- the page fault's side --- */

/* The mark first: an older lock_seq would hide an end. */
inline look_at_mark(t)
{
	load(t, MARK, m);
	load(t, SEQ, s)
}

inline count_in(t)
{
#ifdef BUG_VMA_COUNT_NO_BARRIER
	store(t, READERS + t, 1)
#else
	locked_set(t, READERS + t, 1)
#endif
}

/* atomic_dec_and_test() */
inline count_out(t, is_last)
{
#ifdef BUG_VMA_LEAVE_NO_BARRIER
	atomic {
		store(t, READERS + t, 0);
		is_last = mem[READERS + 5 - t] == 0
	}
#else
	atomic {
		is_drained(t);
		mem[READERS + t] = 0;
		is_last = mem[READERS + 5 - t] == 0
	}
#endif
}

inline wake_up_all(t)
{
	lock(t, WQ_LOCK);
	if
	:: waiting -> blocked = false
	:: else
	fi;
	unlock(t, WQ_LOCK)
}

inline vma_end_read(t)
{
#ifdef BUG_VMA_WAITER_BEFORE_LEAVE
	look_at_mark(t);
	count_out(t, last);
#else
	count_out(t, last);
	if
	:: last -> look_at_mark(t)
	:: else
	fi;
#endif
	if
	:: last && m >= s -> wake_up_all(t)
	:: else
	fi
}

inline fault(t)
{
#ifdef BUG_VMA_LOOK_BEFORE_COUNT
	look_at_mark(t);
	count_in(t);
#else
	count_in(t);
	look_at_mark(t);
#endif
	if
	:: m < s ->
		inside++;
		assert(!changing);
		inside--
	:: else /* mmap_lock is taken instead */
	fi;
	vma_end_read(t)
}

proctype reader(byte t)
{
	byte m, s;
	bool last;

	fault(t);
	if
	:: t == 2 -> fault(t)
	:: else
	fi
}

init
{
	atomic {
		mem[SEQ] = 1;
		run writer(0);
		run writer(1);
		run reader(2);
		run reader(3)
	}
}
