/*
 * A model of the lazy MMU mode and of what it rests on, in Promela; `./pteron model` has spin visit
 * every state of it. It follows mm/lazy/lazy_mmu.c, mm/lazy/batch.c, mm/lazy/tlb.c, mm/range/fault.c, mm/range/zap.c,
 * mm/range/mprotect.c and the switch of kernel/sched/sched.c, with their names. A backend that queues is
 * modelled: in a section the table changes when the queue is issued.
 *
 * Two CPUs, two entries. A task is preempted between any two steps unless it forbids it, and goes
 * on on either CPU. One step makes at most one access that another CPU can race with; where a step
 * makes more, a comment says why nothing is lost.
 *
 * What must hold:
 *  - after a leave, nested too, and after a pause the table holds what was set before;
 *  - the queue is empty when a lock is released, at a switch and at a task's end;
 *  - no entry is read whose update is queued here, and an interrupt never queues;
 *  - no access goes to a free page, by whatever translation the TLB still holds;
 *  - no page is freed twice, and at the end each has one reference for each entry that maps it;
 *  - the mode is active exactly where the task opened it, and ends with the task;
 *  - the tasks end: spin reports a state in which nothing can go on.
 *
 * The kernel's assertions that look at how code is written (which lock is held at a leave, whose
 * queue this is) are left out, so that a bug has to show by what it does.
 *
 * What it does not show: shootdowns by two CPUs at once (in FAULT and TLB one lock keeps them apart,
 * in SECTION none is owed), so no CPU is called that has missed a generation; a leave that ends
 * several sections, or a pause in a pause; copy on write.
 *
 * Configurations:
 *
 *	-DCONFIG_SECTION   two tasks make any calls in any order, each with a table of its own
 *	-DCONFIG_CPU_MODE  the same, with a mode of the CPU beside the task's, as Linux has on Xen
 *	-DCONFIG_FAULT     two tasks touch a page, then one write-protects it; a third zaps
 *	-DCONFIG_TLB       one task touches, one write-protects and zaps; TLBs load at any time
 *
 * The seeded bugs of tests/bugs that the model can have, and where each shows. -DBUG_NAME puts
 * one in.
 *
 *	reenter-on-enter      CPU_MODE
 *	reenter-on-leave      CPU_MODE
 *	depth-per-cpu         SECTION
 *	switch-no-flush       SECTION
 *	flush-other-cpu       SECTION
 *	interrupt-is-lazy     SECTION
 *	leave-ignored         SECTION
 *	return-in-section     SECTION
 *	coalesce-older        SECTION
 *	pause-no-flush        SECTION
 *	inner-leave-ends      SECTION
 *	no-resume             SECTION
 *	leave-after-unlock    FAULT
 *	unlock-in-section     FAULT
 *	raw-read              FAULT
 *	no-recheck            FAULT
 *	spurious-is-fatal     FAULT
 *	flush-before-updates  TLB
 *	free-before-flush     TLB
 *	cpus-too-early        TLB
 *	nobody-waits          TLB
 *	flush-only-here       TLB
 *
 * The others are about what is not in it: the A and D bits (loses-dirty, no-harvest); a call that
 * fails, and a full queue (result-ignored, last-update-lost); kernel entries, upper levels, formats
 * of entries and shadow tables (kernel-queued, user-l4-forgotten, frame-kept, shadow-not-synced);
 * code that goes around or is not patched to the pv table (bypass, site-unpatched); the inside of a
 * Xen call (continuation-migrates); and cost (call-per-update, flush-per-pte).
 */

#ifdef CONFIG_CPU_MODE
#define CONFIG_SECTION
#endif

#ifdef CONFIG_SECTION
#define NR_TABLES 2 /* a lock each */
#else
#define NR_TABLES 1
#endif
#define table_of(a) ((a) % NR_TABLES)

#ifdef CONFIG_FAULT
#define NR_TASKS 3
#else
#define NR_TASKS 2
#endif
#define NR_CPUS 2
#define NR_PTES 2
#define NR_FRAMES 4 /* two that are mapped, and one in the hand of each task that faults */

/* An entry: a frame and one right. */
#define NONE 0
#define mk_pte(frame) ((frame) << 1)
#define mkwrite(v) ((v) | 1)
#define wrprotect(v) ((v) & ~1)
#define is_writable(v) ((v) & 1)
#define permits(v, write) ((v) != NONE && (!(write) || is_writable(v)))
#define frame_of(v) ((v) >> 1)

/* The mode's word: mm/types/lazy_mmu_types.h, with narrower fields. */
#define DEPTH_ONE 1
#define DEPTH_MASK 3
#define PAUSE_ONE 4
#define PAUSE_MASK 12
#define INNER_ONE 16
#define INNER_MASK 48
#define is_active(w) (((w) & DEPTH_MASK) && !((w) & PAUSE_MASK))

/* Instead of a task, where a CPU has none. */
#define IDLE 255

typedef cpu_state {
	byte task = IDLE;
	bool switching;	  /* the scheduler runs in place of the task */
	bool preempt_off;
	/* the queue: one update for each entry, and the entries whose invalidation is owed, a bit each */
	bool queued[NR_PTES];
	byte val[NR_PTES];
	byte owed;
	/* the TLB */
	byte tlb[NR_PTES];
	bool lazy = true; /* no user memory is touched here */
	byte followed;	  /* the generation up to which this TLB is right */
	/* a call from the other CPU that waits to be answered; what this one asks of the other */
	bool called;
	byte call_generation, call_range;
#ifdef CONFIG_CPU_MODE
	bool mode;
#endif
#ifdef BUG_DEPTH_PER_CPU
	byte word;
#endif
};
cpu_state cpu[NR_CPUS];

/* Instead of a CPU, where a task runs on none. */
#define READY 254
#define DEAD 253

byte on[NR_TASKS] = READY;
byte waits_for[NR_TASKS]; /* 1 + the table whose lock it wants */
byte word[NR_TASKS];

byte pte[NR_PTES];
byte meant[NR_PTES]; /* what the last one who set it wants it to hold */
bool locked[NR_TABLES];
byte generation;
byte refs[NR_FRAMES + 1]; /* 0: the frame is free */

#define me _pid
#define here on[me]
#define other(c) (1 - (c))
#define runs(t) (on[t] < NR_CPUS && !cpu[on[t]].switching)
#define is_preemptible(c) (cpu[c].task != IDLE && !cpu[c].preempt_off && !cpu[c].switching)

/* What functions keep on their stack. */
#define SHOOTDOWN_LOCALS bool concerned
#define SECTION_LOCALS byte w, b; bool s, enters, leaves; SHOOTDOWN_LOCALS
#define RANGE_LOCALS byte v, range
#define FAULT_LOCALS byte orig, now, new

/* --- mm/lazy/tlb.c --- */

/*
 * Bring CPU @c up to date with what @caller asks for. One step: the generation is read before the
 * TLB is changed, so one that is raised in between costs a second flush and no more.
 */
inline flush_on(c, caller)
{
	d_step {
		if
		:: cpu[c].lazy || cpu[c].followed >= cpu[caller].call_generation
		:: else ->
			if
			:: cpu[caller].call_generation != cpu[c].followed + 1 ||
			   cpu[caller].call_generation != generation ->
				flush_whole(c)
			:: else ->
				if
				:: cpu[caller].call_range & 1 -> cpu[c].tlb[0] = NONE
				:: else
				fi;
				if
				:: cpu[caller].call_range & 2 -> cpu[c].tlb[1] = NONE
				:: else
				fi;
				cpu[c].followed = cpu[caller].call_generation
			fi
		fi
	}
}

inline flush_whole(c)
{
	cpu[c].tlb[0] = NONE;
	cpu[c].tlb[1] = NONE;
	cpu[c].followed = generation
}

/* Preemption is off. */
inline tlb_flush_by_call(c, range)
{
#ifdef BUG_CPUS_TOO_EARLY
	concerned = !cpu[other(c)].lazy;
#endif
	d_step { /* only the first of these is seen by others yet */
		generation++;
		cpu[c].call_generation = generation;
		cpu[c].call_range = range
	}
	flush_on(c, c);
#ifndef BUG_CPUS_TOO_EARLY
	concerned = !cpu[other(c)].lazy;
#endif
#ifdef BUG_FLUSH_ONLY_HERE
	concerned = false;
#endif
	if
	:: concerned ->
#ifdef BUG_NOBODY_WAITS
		!cpu[other(c)].called;
		cpu[other(c)].called = true
#else
		cpu[other(c)].called = true;
		!cpu[other(c)].called
#endif
	:: else
	fi;
	concerned = false
}

/* --- mm/lazy/batch.c --- */

#define queue_is_empty(c) (!cpu[c].queued[0] && !cpu[c].queued[1] && !cpu[c].owed)

/* One step: preemption is off, and the queue is this CPU's. */
inline batch_queue(a, v)
{
	d_step {
#ifdef BUG_COALESCE_OLDER
		cpu[here].val[a] = (cpu[here].queued[a] -> cpu[here].val[a] : v);
#else
		cpu[here].val[a] = v;
#endif
		cpu[here].queued[a] = true
	}
}

inline pay_flush(b, c)
{
	if
	:: cpu[b].owed -> tlb_flush_by_call(c, cpu[b].owed)
	:: else
	fi
}

/* Issue the queue of CPU @b; this is CPU @c, which is the same. */
inline issue(b, c)
{
#ifdef BUG_FLUSH_BEFORE_UPDATES
	pay_flush(b, c);
#endif
	if
	:: cpu[b].queued[0] -> pte[0] = cpu[b].val[0]
	:: else
	fi;
	if
	:: cpu[b].queued[1] -> pte[1] = cpu[b].val[1]
	:: else
	fi;
#ifndef BUG_FLUSH_BEFORE_UPDATES
	pay_flush(b, c);
#endif
	d_step {
		cpu[b].queued[0] = false;
		cpu[b].queued[1] = false;
		cpu[b].val[0] = NONE;
		cpu[b].val[1] = NONE;
		cpu[b].owed = 0
	}
}

inline batch_flush()
{
	if
	:: queue_is_empty(here)
	:: atomic {
		!queue_is_empty(here) ->
		b = here;
#ifndef BUG_FLUSH_OTHER_CPU
		cpu[here].preempt_off = true
#endif
	   }
#ifdef BUG_FLUSH_OTHER_CPU
	   cpu[here].preempt_off = true;
#endif
	   issue(b, here);
	   d_step {
		cpu[here].preempt_off = false;
		b = 0
	   }
	fi
}

/* --- mm/lazy/lazy_mmu.c --- */

#ifdef BUG_DEPTH_PER_CPU
#define word_on(c) cpu[c].word
#else
#define word_on(c) word[cpu[c].task]
#endif
#define WORD word_on(here)

#ifdef BUG_INTERRUPT_IS_LAZY
#define is_lazy(c, in_interrupt) is_active(word_on(c))
#else
#define is_lazy(c, in_interrupt) (is_active(word_on(c)) && !(in_interrupt))
#endif

/* The word becomes w, by one store. */
#ifndef CONFIG_CPU_MODE
inline set_word()
{
	WORD = w
}
#else
/* And the CPU's mode follows. Each bug leaves one of the two ways open to a preemption between. */
#ifdef BUG_REENTER_ON_ENTER
#define no_preemption(enters) !(enters)
#elif defined(BUG_REENTER_ON_LEAVE)
#define no_preemption(enters) (enters)
#else
#define no_preemption(enters) true
#endif

inline set_word()
{
	atomic { /* up to the store only preempt_off is seen by others */
		enters = !is_active(WORD) && is_active(w);
		leaves = is_active(WORD) && !is_active(w);
		cpu[here].preempt_off = no_preemption(enters)
	}
	WORD = w;
	if
	:: enters ->
		assert(!cpu[here].mode);
		cpu[here].mode = true
	:: leaves ->
		assert(cpu[here].mode);
		cpu[here].mode = false
	:: else
	fi;
	d_step {
		cpu[here].preempt_off = false;
		enters = false;
		leaves = false
	}
}
#endif

inline enter(state)
{
	w = WORD;
	if
	:: w & PAUSE_MASK ->
		state = (w & INNER_MASK) != 0;
		w = w + INNER_ONE
	:: else ->
		state = (w & DEPTH_MASK) != 0;
		w = w + DEPTH_ONE
	fi;
	set_word()
}

inline leave(state)
{
#ifndef BUG_LEAVE_IGNORED
	w = WORD;
	if
	:: w & PAUSE_MASK ->
		assert(!state || (w & INNER_MASK));
		w = (state -> w - INNER_ONE : w & ~INNER_MASK)
	:: else ->
#ifdef BUG_INNER_LEAVE_ENDS
		state = false;
#endif
		assert(w & DEPTH_MASK);
		assert(!state || (w & DEPTH_MASK) != DEPTH_ONE);
		batch_flush();
		w = (state -> w - DEPTH_ONE : w & ~DEPTH_MASK)
	fi;
	set_word();
#endif
	state = false
}

inline pause()
{
	w = WORD;
#ifndef BUG_PAUSE_NO_FLUSH
	batch_flush();
#endif
	w = w + PAUSE_ONE;
	set_word()
}

inline resume()
{
	w = WORD;
	assert(w & PAUSE_MASK);
	w = w - PAUSE_ONE;
	assert((w & PAUSE_MASK) || !(w & INNER_MASK));
#ifdef BUG_NO_RESUME
	w = w & ~DEPTH_MASK;
#endif
	set_word()
}

/* --- mm/table/pgtable.h, kernel/sync/spinlock.c --- */

/* Preemptible: whoever waits gives up its CPU, and is ready again when the lock is free. */
inline spin_lock(table)
{
	atomic {
		if
		:: !locked[table]
		:: else ->
			waits_for[me] = 1 + table;
			!locked[table]
		fi;
		locked[table] = true;
		waits_for[me] = 0
	}
}

/* One step: the queue is this CPU's, and empty is what any other task finds it. */
inline pte_unmap_unlock(table)
{
	d_step {
		assert(queue_is_empty(here));
		locked[table] = false
	}
}

inline ptep_get(a, v)
{
	d_step {
		assert(!(WORD && cpu[here].queued[a]));
		v = pte[a]
	}
}

/* All writes of entries: in a section queued, else a call at once. */
inline set_pte(a, v)
{
	if
	:: d_step { is_lazy(here, false) -> meant[a] = v }
	   batch_queue(a, v)
	:: d_step {
		else ->
		meant[a] = v;
		pte[a] = v
	   }
	fi
}

inline owe_flush(range)
{
	d_step {
		cpu[here].owed = cpu[here].owed | range;
		range = 0
	}
}

#define effective(a) (pte[a] == meant[a])

inline task_ends()
{
	d_step {
		assert(WORD == 0);
		assert(queue_is_empty(here));
		cpu[here].task = IDLE;
		cpu[here].lazy = true;
		on[me] = DEAD
	}
}

/* --- SECTION: any calls --- */

#ifdef CONFIG_SECTION

#define MAX_DEPTH 2
#define MAX_INNER 1
#define MAX_PAUSES (1 - me) /* one task's are enough */

#ifdef BUG_RETURN_IN_SECTION
#define may_return true
#else
#define may_return (!depth && !paused)
#endif

/* What the contract says of the mode, by the caller's own count. */
#define mode_is_right (is_lazy(here, false) == (depth && !paused))

active [NR_TASKS] proctype client() provided (runs(_pid))
{
	SECTION_LOCALS;
	byte depth, inner, v;
	bool paused;
	byte states; /* what each enter returned, the last in bit 0 */
#define table me

	spin_lock(table);
	do
	:: (paused -> inner < MAX_INNER : depth < MAX_DEPTH) ->
		enter(s);
		atomic {
			if
			:: paused -> inner++
			:: else -> depth++
			fi;
			states = states << 1 | s;
			s = false;
			assert(mode_is_right)
		}
	:: (paused -> inner : depth) ->
		atomic {
			s = states & 1;
			states = states >> 1
		}
		leave(s);
		atomic {
			if
			:: paused -> inner--
			:: else -> depth--
			fi;
			assert(effective(table));
			assert(mode_is_right)
		}
	:: paused < MAX_PAUSES ->
		pause();
		atomic {
			paused = true;
			assert(effective(table));
			assert(mode_is_right)
		}
	:: paused && !inner ->
		resume();
		atomic {
			paused = false;
			assert(mode_is_right)
		}
	:: v = (meant[table] -> NONE : mk_pte(1));
		set_pte(table, v)
	:: may_return -> break
	od;
	pte_unmap_unlock(table);
	task_ends()
}

/*
 * A kernel entry is set and must be there at once. One step: it changes nothing that others see,
 * and it comes where the task can be preempted, so that it cannot hide a task that is stuck.
 */
inline interrupt(c)
{
	d_step {
		is_preemptible(c) && is_active(word_on(c)) ->
		assert(!is_lazy(c, true))
	}
}

#endif

/* --- FAULT and TLB: pages --- */

#ifndef CONFIG_SECTION

inline alloc_page(frame)
{
	frame = 1;
	do
	:: refs[frame] -> frame++
	:: else -> break
	od;
	refs[frame] = 1
}

inline put_page(frame)
{
	d_step {
		if
		:: frame ->
			assert(refs[frame] > 0);
			refs[frame]--;
			frame = 0
		:: else
		fi
	}
}

/* Lock the entry and look again. */
#ifdef BUG_NO_RECHECK
#define is_unchanged true
#else
#define is_unchanged (now == orig)
#endif

inline lock_and_look(a)
{
	spin_lock(table_of(a));
	ptep_get(a, now)
}

inline handle_mm_fault(a, write)
{
	atomic { /* where a page comes from, and when, does not matter */
		orig = pte[a];
		if
		:: orig == NONE -> alloc_page(new)
		:: else
		fi
	}
	if
	:: orig == NONE ->
		lock_and_look(a);
		if
		:: is_unchanged ->
			set_pte(a, mkwrite(mk_pte(new)));
			new = 0
		:: else
		fi;
		pte_unmap_unlock(table_of(a));
		put_page(new)
	:: permits(orig, write) ->
#ifdef BUG_SPURIOUS_IS_FATAL
		killed = true;
#endif
		skip
	:: else ->
		lock_and_look(a);
		if
		:: is_unchanged -> set_pte(a, mkwrite(orig))
		:: else
		fi;
		pte_unmap_unlock(table_of(a))
	fi;
	d_step {
		orig = 0;
		now = 0
	}
}

#ifdef BUG_SPURIOUS_IS_FATAL
bool killed;
#else
#define killed false
#endif

/* From user mode, by the TLB or else by the table; it faults until it succeeds. */
#define translation cpu[here].tlb[a]

inline touch(a, write)
{
	do
	:: atomic {
		permits(translation, write) ->
		assert(refs[frame_of(translation)]);
		break
	   }
	:: atomic {
		!permits(translation, write) && permits(pte[a], write) ->
		translation = pte[a];
		assert(refs[frame_of(translation)]);
		break
	   }
	:: atomic { /* a fault drops the translation that did not permit */
		!permits(translation, write) && !permits(pte[a], write) ->
		translation = NONE
	   }
	   handle_mm_fault(a, write);
	   assert(!killed)
	od
}

inline tlb_free_pages()
{
	put_page(gathered[0]);
	put_page(gathered[1])
}

inline zap_pte(a)
{
	ptep_get(a, v);
	if
	:: v != NONE ->
		set_pte(a, NONE);
#ifdef BUG_RAW_READ
		ptep_get(a, v);
#endif
#ifdef BUG_UNLOCK_IN_SECTION
		pte_unmap_unlock(0);
		spin_lock(0);
#endif
		d_step {
			gathered[a] = frame_of(v);
			range = range | 1 << a;
			v = 0
		}
	:: else
	fi
}

inline zap_pte_range()
{
	spin_lock(0);
	enter(s);
	zap_pte(0);
	zap_pte(1);
#ifdef BUG_FREE_BEFORE_FLUSH
	tlb_free_pages();
#endif
	owe_flush(range);
	leave(s);
	assert(effective(0) && effective(1));
	pte_unmap_unlock(0);
	tlb_free_pages()
}

inline change_pte(a)
{
	ptep_get(a, v);
	if
	:: is_writable(v) ->
		set_pte(a, wrprotect(v));
		d_step {
			range = range | 1 << a;
			v = 0
		}
	:: else -> v = 0
	fi
}

inline change_pte_range()
{
	spin_lock(0);
	enter(s);
	change_pte(0);
	change_pte(1);
	owe_flush(range);
#ifdef BUG_LEAVE_AFTER_UNLOCK
	locked[0] = false;
	leave(s)
#else
	leave(s);
	assert(effective(0) && effective(1));
	pte_unmap_unlock(0)
#endif
}

#endif

#ifdef CONFIG_FAULT

active proctype toucher() provided (runs(_pid))
{
	SECTION_LOCALS;
	FAULT_LOCALS;

	touch(0, true);
	task_ends()
}

active proctype protector() provided (runs(_pid))
{
	SECTION_LOCALS;
	FAULT_LOCALS;
	RANGE_LOCALS;

	touch(0, true);
	change_pte_range();
	task_ends()
}

active proctype zapper() provided (runs(_pid))
{
	SECTION_LOCALS;
	RANGE_LOCALS;
	byte gathered[NR_PTES];

	zap_pte_range();
	task_ends()
}

#endif

#ifdef CONFIG_TLB

active proctype toucher() provided (runs(_pid))
{
	SECTION_LOCALS;
	FAULT_LOCALS;
	byte a;
	bool write;

	atomic {
		if
		:: a = 0
		:: a = 1
		fi;
		if
		:: write = false
		:: write = true
		fi
	}
	touch(a, write);
	task_ends()
}

active proctype changer() provided (runs(_pid))
{
	SECTION_LOCALS;
	RANGE_LOCALS;
	byte gathered[NR_PTES];

	if
	:: true -> change_pte_range()
	:: true
	fi;
	zap_pte_range();
	task_ends()
}

#endif

/* --- kernel/sched/sched.c --- */

/* Of these processes there is one for each CPU; tasks have the numbers before them. */
#define this (_pid - NR_TASKS)

#define is_ready(t) (on[t] == READY && (!waits_for[t] || !locked[waits_for[t] - 1]))

#if NR_TASKS == 3
#define some_task_is_ready (is_ready(0) || is_ready(1) || is_ready(2))
#else
#define some_task_is_ready (is_ready(0) || is_ready(1))
#endif

inline pick_next()
{
	if
	:: is_ready(0) -> next = 0
	:: is_ready(1) -> next = 1
#if NR_TASKS == 3
	:: is_ready(2) -> next = 2
#endif
	fi
}

inline switch_in()
{
	cpu[this].task = next;
	on[next] = this;
#ifdef CONFIG_CPU_MODE
	cpu[this].mode = is_active(word_on(this));
#endif
	next = 0
}

/* Any task may come from any CPU: all have one run queue here. */
inline switch_to()
{
	if
	:: some_task_is_ready ->
		pick_next();
		on[cpu[this].task] = READY;
		switch_in()
	:: else ->
		on[cpu[this].task] = READY;
		cpu[this].task = IDLE;
		cpu[this].lazy = true
	fi
}

#ifdef BUG_SWITCH_NO_FLUSH
#define nothing_to_issue true
#else
#define nothing_to_issue queue_is_empty(this)
#endif

/* A switch is one step, but for the queue: only this CPU has what it changes. */
active [NR_CPUS] proctype scheduler()
{
	SHOOTDOWN_LOCALS;
	byte next;

end:
	do
	:: atomic {
		is_preemptible(this) && nothing_to_issue ->
		switch_to()
	   }
	:: atomic {
		is_preemptible(this) && !nothing_to_issue ->
		cpu[this].switching = true
	   }
	   issue(this, this);
	   atomic {
		assert(queue_is_empty(this));
		cpu[this].switching = false;
		switch_to()
	   }
	:: atomic { /* leave_lazy(): be seen, then look at the generation */
		cpu[this].task == IDLE && some_task_is_ready ->
		pick_next();
		switch_in();
		cpu[this].switching = true;
		cpu[this].lazy = false
	   }
	   d_step {
		if
		:: cpu[this].followed != generation -> flush_whole(this)
		:: else
		fi;
		cpu[this].switching = false
	   }
	od
}

/* --- what comes from outside, and the end --- */

#define load(c, a) pte[a] != NONE && cpu[c].tlb[a] == NONE -> cpu[c].tlb[a] = pte[a]

active proctype hardware()
{
end:
	do
	:: atomic {
		cpu[0].called ->
		flush_on(0, 1);
		cpu[0].called = false
	   }
	:: atomic {
		cpu[1].called ->
		flush_on(1, 0);
		cpu[1].called = false
	   }
#ifdef CONFIG_SECTION
	:: interrupt(0)
	:: interrupt(1)
#endif
#ifdef CONFIG_TLB
	:: load(0, 0)
	:: load(0, 1)
	:: load(1, 0)
	:: load(1, 1)
#endif
	od
}

#define maps(a, frame) (pte[a] && frame_of(pte[a]) == frame)
#define nr_maps(frame) (maps(0, frame) + maps(1, frame))

active proctype audit()
{
	on[0] == DEAD && on[1] == DEAD;
#if NR_TASKS == 3
	on[2] == DEAD;
#endif
	assert(effective(0) && effective(1));
#ifndef CONFIG_SECTION
	assert(refs[1] == nr_maps(1) && refs[2] == nr_maps(2));
	assert(refs[3] == nr_maps(3) && refs[4] == nr_maps(4))
#endif
}
