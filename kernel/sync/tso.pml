/*
 * Total store order, for models: what an x86 CPU may do with its stores (AMD APM vol. 2, 7.1). A
 * plain store waits in its CPU's buffer, in order, and goes to memory at any later time; a load takes
 * the newest store of its own buffer, or memory. A locked instruction waits until the buffer is empty
 * and changes memory at once; so does a fence, which changes nothing.
 *
 * Who includes it defines NR_CELLS and NR_TASKS, and gives each task a CPU of its own. Task t's
 * buffer is buf[t]; mem[] is what all see. One step of a model makes at most one access here.
 */
#define BUFFER 3 /* stores that wait; a fourth waits for the first */

typedef buffer {
	byte n;
	byte cell[BUFFER];
	byte val[BUFFER];
};
buffer buf[NR_TASKS];
byte mem[NR_CELLS];

#define is_drained(t) (buf[t].n == 0)
#define fence(t) is_drained(t)

inline store(t, c, v)
{
	atomic {
		buf[t].n < BUFFER;
		buf[t].cell[buf[t].n] = c;
		buf[t].val[buf[t].n] = v;
		buf[t].n++
	}
}

/* The newest store wins. */
inline load(t, c, into)
{
	d_step {
		into = mem[c];
		if
		:: buf[t].n > 0 && buf[t].cell[0] == c -> into = buf[t].val[0]
		:: else
		fi;
		if
		:: buf[t].n > 1 && buf[t].cell[1] == c -> into = buf[t].val[1]
		:: else
		fi;
		if
		:: buf[t].n > 2 && buf[t].cell[2] == c -> into = buf[t].val[2]
		:: else
		fi
	}
}

/* xchg, lock add and lock cmpxchg, by what they leave behind. */
inline locked_set(t, c, v)
{
	atomic { is_drained(t); mem[c] = v }
}

inline locked_add(t, c, n)
{
	atomic { is_drained(t); mem[c] = mem[c] + n }
}

/* A spinlock is a cell; a waiter waits. Its release is a locked instruction, too (kernel/sync/spinlock.h). */
inline lock(t, c)
{
	atomic { is_drained(t) && mem[c] == 0; mem[c] = 1 }
}

inline unlock(t, c)
{
	locked_set(t, c, 0)
}

/* The oldest store of task @t reaches memory, whenever it likes. */
#define drains(t)                                                                                  \
	atomic {                                                                                   \
		buf[t].n > 0 ->                                                                    \
		mem[buf[t].cell[0]] = buf[t].val[0];                                               \
		buf[t].cell[0] = buf[t].cell[1];                                                   \
		buf[t].val[0] = buf[t].val[1];                                                     \
		buf[t].cell[1] = buf[t].cell[2];                                                   \
		buf[t].val[1] = buf[t].val[2];                                                     \
		buf[t].cell[2] = 0;                                                                \
		buf[t].val[2] = 0;                                                                 \
		buf[t].n--                                                                         \
	}

active proctype memory()
{
end:
	do
	:: drains(0)
	:: drains(1)
#if NR_TASKS > 2
	:: drains(2)
#endif
#if NR_TASKS > 3
	:: drains(3)
#endif
	od
}
