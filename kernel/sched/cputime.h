/*
 * The CPU time of tasks and processes.
 *
 * Each switch adds the TSC ticks since the switch before to the task that is left: their sum is
 * exact. Which part of it was user mode's is estimated, as Linux does it without
 * CONFIG_VIRT_CPU_ACCOUNTING: each tick of the scheduler is a sample of what it interrupts.
 */
#pragma once

#include "kernel/lib/types.h"

struct task;

/* Of one task, or the sum of several. */
struct cputime {
	u64 ticks; /* of the TSC */
	u64 samples, user_samples;
};

struct cputime_ns {
	u64 user, system;
};

static inline void cputime_add(struct cputime *sum, struct cputime t)
{
	sum->ticks += t.ticks;
	sum->samples += t.samples;
	sum->user_samples += t.user_samples;
}

static inline void cputime_ns_add(struct cputime_ns *sum, struct cputime_ns t)
{
	sum->user += t.user;
	sum->system += t.system;
}

/* @t in nanoseconds, parted; neither part becomes less than in *@said, which follows. */
struct cputime_ns cputime_part(struct cputime t, struct cputime_ns *said);
/* Of @t alone. Under process_lock. */
struct cputime_ns thread_cputime(struct task *t);
