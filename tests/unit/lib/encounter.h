/*
 * Two sides of a protocol, and every instruction at which they can meet.
 *
 * One side runs single-stepped on CPU 0. At its k-th instruction boundary the other side's whole
 * operation runs on CPU 1, and the stepped side goes on when that has ended, or waits for it. k
 * goes through all boundaries until a pass ends before the k-th: none is left out, those with
 * interrupts off and those inside the scheduler included. No ticks come. QEMU must run all CPUs in
 * one thread, as with -icount: where they really race a boundary is no point of the other side's
 * time, and the case is skipped.
 *
 * So a wake-up that is lost stays lost: if a side sleeps when there is nobody left who would wake
 * it, the kernel panics and says which side, and at which boundary the two met.
 */
#pragma once

#include "tests/ktest.h"

/*
 * All functions but @stepped and @other may be NULL. @stepped and @other have tasks of their own in
 * each pass; whatever a lock or a reference belongs to goes from one function of a side to the
 * next.
 */
struct encounter {
	const char *name;
	void (*prepare)(void); /* before both, by the case's task */

	void (*before)(void);  /* the stepped side, ahead of the steps */
	void (*stepped)(void); /* single-stepped; may sleep until the other side comes */
	void (*after)(void);

	void (*other_before)(void); /* ends before the stepped side begins */
	void (*other)(
		void); /* comes at the boundary, and earlier if the stepped side waits for it */
	void (*other_after)(void);
	bool (*other_waits)(void); /* for the stepped side, other than for a lock or asleep */
	void (*other_idle)(void);  /* again and again while it has not been asked to come */

	void (*check)(struct ktest *t); /* after both, by the case's task */

	/*
	 * Makes a side's task, which runs @fn; NULL: a kernel thread. A user task ends at the end.
	 */
	struct task *(*make_stepped)(void (*fn)(void *arg));
	struct task *(*make_other)(void (*fn)(void *arg));

	/*
	 * CPU 0 has nothing else to do, so that it halts where the stepped side waits; its idle
	 * task is stepped, too. Else the case's task is there, and a waiter for a lock sleeps.
	 */
	bool cpu_is_idle;

	/* @stepped does not return: its task ends, or goes to user mode and is ended there. */
	bool stepped_ends;
	/* The case's task is asleep during a pass; the other side alone watches. */
	bool case_sleeps;
	/* Not 0: of a long way, only so many boundaries for each round, chosen by the seed. */
	unsigned sample;
};

/* All passes of @e. */
void encounter_run(struct ktest *t, const struct encounter *e);
/* The tasks of this pass: for what one side does to the other. */
struct task *encounter_stepped_task(void);
struct task *encounter_other_task(void);

/*
 * A third task, on the other side's CPU, that runs @fn until it sleeps or ends. By the stepped
 * side, ahead of the steps; locks may be held.
 */
void encounter_start_third(void (*fn)(void));
/* By the other side: wake it without a reason, as sleepers must bear, until it sleeps or ends. */
void encounter_wake_third(void);
