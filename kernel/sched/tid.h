/*
 * The numbers of tasks, which are those of processes, too: a process has its first thread's, and
 * keeps it until somebody has waited for it. A number is in use as long as a task or a process has
 * it, and is given to nobody else in the meantime.
 */
#pragma once

#include "kernel/lib/types.h"

/* As on Linux (its PID_MAX_DEFAULT and RESERVED_PIDS): the end, and where numbers begin again. */
#define TID_MAX 32768
#define TID_RESERVED 300

/*
 * A number that is not in use, for one user: upwards, and from TID_RESERVED on again. 0: all are.
 */
int tid_alloc(void);
/* One user more; @tid is in use. */
void tid_get(int tid);
/* One user less. */
void tid_put(int tid);
/* For tests: the next number to be tried. Returns what it was. */
int tid_set_next(int tid);
