/*
 * Processes: Linux's thread groups. Their tree, their end, and waiting for it.
 */
#pragma once

#include "kernel/process/rlimit.h"
#include "kernel/sched/cputime.h"
#include "kernel/sched/wait.h"

#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGKILL 9
#define SIGSEGV 11
#define SIGCHLD 17
#define SIG_BIT(sig) BIT((sig)-1)
#define RUSAGE_SIZE 144 /* sizeof(struct rusage) */

/* Exit status as wait4 gives it. */
#define STATUS_EXITED(code) (((code)&0xff) << 8)
#define STATUS_SIGNALLED(sig) (sig)
#define STATUS_CODE(status) ((status) >> 8 & 0xff)
#define STATUS_SIGNAL(status) ((status)&0x7f)

struct process {
	int pid; /* fixed */

	/* process_lock */
	struct process *parent; /* &kernel_process: started or inherited by the kernel */
	int ppid;		/* its pid; read without the lock */
	int pgid, sid;		/* its group and session */
	int exit_signal;	/* which the parent gets at the end: SIGCHLD, or 0 */
	struct rlimit limits[NR_RLIMITS];
	struct list_head children, sibling, threads;
	bool orphan; /* nobody will wait: reaped at its end */
	bool exiting, zombie;
	int status;
	struct cputime ended_threads;
	struct cputime_ns cputime_said;	 /* to user mode */
	struct cputime_ns children_time; /* of those waited for, and of theirs */
	u64 sig_ignored, sig_pending;	 /* bit n - 1: signal n; kernel/process/signal.c */

	struct wait_queue child_event; /* a child has become a zombie */
};

/* --- for the kernel --- */

/*
 * Run a program of the boot module in a new process; its pid, or a negative error after saying what
 * is wrong. @argv ends with NULL; the strings are copied.
 */
int process_spawn(const char *const argv[]);
/* Wait for the end of a process that process_spawn() started; its wait status. */
int process_wait(int pid);
/*
 * A new process, child of @parent or, NULL, of the kernel, with an empty address space. Its task
 * runs @entry(@arg) in kernel mode as soon as the caller wakes it with wake_up_new_task(), and ends
 * with do_exit_thread(). NULL: out of memory, or there are as many tasks as there may be.
 */
struct task *user_process_create(const char *name, void (*entry)(void *), void *arg,
				 struct process *parent);
#define PROCESS_SNAPSHOT_MAX 32

/* For kernel/process/oom.c: a process at one moment. */
struct process_info {
	int pid;
	bool first;   /* the kernel started it */
	bool exiting; /* and its address space is still there */
	unsigned threads;
	struct mm *mm; /* with a reference, the caller's to drop; NULL: it has just gone */
	char name[TASK_NAME_LEN];
};
/*
 * Those @max processes with the least pids above @pid that have an address space, in order; how
 * many there are.
 */
unsigned process_snapshot(int pid, struct process_info *info, unsigned max);
/* End process @pid, if there is one, by @signal, whatever it does. */
void process_kill(int pid, int signal);
/* User tasks alive, for audits. */
unsigned user_task_count(void);

/* --- for entries from user mode --- */

/* Report why and where on the console, and end the whole process with @signal. */
void kill_current_process(const struct pt_regs *regs, int signal, const char *why,
			  unsigned long addr);
/* What current->work asks for; may not return. */
void task_work_run(struct pt_regs *regs);

/* --- system calls; they return what the caller gets --- */

#define CLONE_VM 0x100
#define CLONE_VFORK 0x4000
struct clone_args {
	unsigned long flags, stack, parent_tid, child_tid, tls;
};
/*
 * clone(2) with @args; the child begins with @regs, its result being 0. The tid of the new task;
 * -EINVAL, -EPERM, -ENOMEM; -EAGAIN: there are as many tasks as there may be.
 */
long do_clone(const struct pt_regs *regs, const struct clone_args *args);
/*
 * End the calling thread. If it is the last one, and nobody has said otherwise by then, the process
 * exits with @code, of which 8 bits count.
 */
void do_exit_thread(int code) __noreturn;
/*
 * End the calling process with @status, as wait4 gives it; if it is ending already, with what was
 * said first.
 */
void do_exit_group(int status) __noreturn;
/*
 * wait4(2): the pid of a child that has ended, whose status and usage go to user addresses @status
 * and @rusage, unless 0; 0 with WNOHANG and no such child. -ECHILD, -EINVAL, -ESRCH, -EFAULT;
 * -EINTR: the caller is to end.
 */
long do_wait4(int pid, unsigned long status, int options, unsigned long rusage);
/* A struct rusage that tells @time, for user mode: 0, -EFAULT. */
long put_rusage(unsigned long addr, struct cputime_ns time);
/* @tid: a user task, 0: the caller. -ESRCH, -EINVAL, -EFAULT. */
long do_sched_setaffinity(int tid, size_t len, unsigned long mask);
/*
 * How many bytes of the mask were written, @len at most; -EINVAL if @len is too small or no
 * multiple of 8.
 */
long do_sched_getaffinity(int tid, size_t len, unsigned long mask);
