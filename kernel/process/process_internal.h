/*
 * What the files of processes share: process.c, process_snapshot.c, signal.c, rlimit.c and ids.c.
 */
#pragma once

#include "kernel/process/process.h"
#include "kernel/sync/spinlock.h"

/* The tree of processes; see process.h for what else it guards. */
extern struct spinlock process_lock;

/* The user task @tid, 0: the caller; NULL if there is none. It stays while the lock is held. */
struct task *find_user_task(int tid) __must_hold(process_lock);
/* The process @pid, 0: the caller's; NULL if there is none. A zombie is one. */
struct process *find_process(int pid) __must_hold(process_lock);
/* Call @fn for each process, zombies too, except those that nobody will wait for. May be called
 * more than once for one. */
void for_each_process(void (*fn)(struct process *p, void *arg), void *arg)
	__must_hold(process_lock);
/* Let @p end with @status, unless it ends already. */
void begin_exit(struct process *p, int status) __must_hold(process_lock);

/* The CPU time of all threads that @p has and had. Under process_lock. */
struct cputime_ns process_cputime(struct process *p);
