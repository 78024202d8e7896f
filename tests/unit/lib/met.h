/*
 * The process that the stepping suites about processes meet: made anew for each pass, with a page of
 * code and threads that have a CPU for themselves. When all of a pass has ended, everything that it
 * took must be back. One case at a time; its fields are the case's own.
 */
#pragma once

#include "kernel/lib/cpumask.h"
#include "tests/ktest.h"

struct task;

extern struct met_process {
	int pid;
	unsigned users; /* user tasks before the pass */
	s64 free;	/* frames after the first pass of the case; 0: that has not been */
} met;

/* A case begins. False, and the case is skipped: there are fewer than three CPUs. */
bool met_begin(struct ktest *t);
/* A pass begins. */
void met_prepare(void);
/* The process, not yet running, with a first thread that will run @fn; `met.pid` is its number. */
struct task *met_new(void (*fn)(void *arg));
/* In the process: the page at @page becomes memory that holds @len bytes of @code at @where. */
void met_map_code(unsigned long page, unsigned long where, const void *code, size_t len);
/* In the process: clone(@flags), and the new task runs user mode's code at @ip on the CPUs @there. */
long met_clone(unsigned long ip, const cpumask_t *there, unsigned long flags);
/* What a thread does that waits for its end. */
void met_sleep_until_killed(void *unused);
/* All user tasks of the pass are gone, and all frames are back. */
void met_expect_nothing_left(struct ktest *t);
