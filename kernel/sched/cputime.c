/*
 * CPU time; see cputime.h.
 *
 * Lock: process_lock guards the sums of a process, and what was said of it and of its threads.
 */
#include "kernel/sched/cputime.h"

#include "kernel/sched/sched.h"
#include "kernel/time/clock.h"
#include "kernel/time/clock_measure.h"

/* Without a sample all of it is the user's, as on Linux. */
static u64 system_part(u64 total, struct cputime t)
{
	return t.samples ? mul_div(total, t.samples - t.user_samples, t.samples) : 0;
}

struct cputime_ns cputime_part(struct cputime t, struct cputime_ns *said)
{
	u64 total = clock_ticks_to_ns(t.ticks);

	if (total > said->user + said->system) {
		u64 system = max(system_part(total, t), said->system);

		/* The total has grown, so what is left is enough for one of the two. */
		said->user = max(total - min(system, total), said->user);
		said->system = total - said->user;
	}
	return *said;
}

struct cputime_ns thread_cputime(struct task *t)
{
	return cputime_part(sched_cputime(t), &t->cputime_said);
}
