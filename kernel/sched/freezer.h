/*
 * The freezer: brings every user task to rest outside of the memory management, so that an audit of
 * all page tables, reference counts and frames sees a consistent state. It also waits for tasks
 * that end, and for all other kernel threads to sleep.
 */
#pragma once

/*
 * Stop every user task before its next step in user mode, or where it sleeps in futex or wait4. By
 * a kernel thread. Until the thaw no other task runs.
 */
void freezer_freeze(void);
/* By whoever froze: all go on. */
void freezer_thaw(void);
/* By a user task with TASK_WORK_FREEZE, on its way to user mode. */
void freezer_park(void);
