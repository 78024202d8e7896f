/*
 * A task: what the scheduler runs. Kernel threads have no mm; user tasks belong to a process, which
 * is Linux's thread group.
 */
#pragma once

#include "kernel/arch/current.h"
#include "kernel/arch/segments.h"
#include "kernel/cpu/fpu.h"
#include "kernel/lib/list.h"
#include "kernel/sched/cputime.h"
#include "kernel/sched/fault_progress.h"
#include "kernel/sched/task_report.h"
#include "kernel/sync/lockdep.h"
#include "mm/types/lazy_mmu_types.h"
#include "mm/types/owed_types.h"

#define FAULT_VMAS 4
#define KSTACK_SIZE (16UL << 10)

enum task_state {
	TASK_RUNNING,	    /* on a CPU or on a run queue */
	TASK_BLOCKED,	    /* waits for an event that will come; not touched by exit_group */
	TASK_INTERRUPTIBLE, /* waits in futex, wait4 or nanosleep: exit_group and the freezer may
			       take it */
	TASK_DEAD,
};

struct futex_waiter;
struct mm;
struct process;
struct pt_regs;
struct vma;

struct task {
	union {
		struct task_head head;
		struct { /* the same, by their names alone */
			unsigned long sp;
			int tid; /* these two are fixed after creation */
			char name[TASK_NAME_LEN];
		};
	};

	/* Owned by the task itself, and by whoever switches to it; `sp` is, too. */
	lazy_mmu_word_t lazy_mmu;
	unsigned pagefault_disabled;
	struct fault_progress fault_progress;
	unsigned long next_write;	   /* where the last write fault left off populating */
	unsigned write_window;		   /* the pages that it did */
	struct vma *fault_vma[FAULT_VMAS]; /* of the last faults, by address: mm/vma/mmap_lock.h */
	struct mm *mm;			   /* NULL for kernel threads */
	struct process *process;
	union selectors selectors;	       /* of user mode, while not running */
	unsigned long fs_base, gs_base;	       /* the same */
	unsigned long clear_child_tid;	       /* user address; 0: none */
	u64 sig_blocked, sig_pending;	       /* bit n - 1: signal n; kernel/process/signal.c */
	const struct futex_waiter *futex_wait; /* that it is in; audits read it */
	bool ending; /* it runs its function no more, and gives back what it has */
	struct held_locks held;
#ifdef CONFIG_DEBUG
	struct owed owed; /* invalidations: mm/frame/owed.h */
	struct task_wait wait;
#endif

	/* Under the lock of the run queue of `cpu`. */
	enum task_state state;
	unsigned cpu;
	bool on_rq;
	bool on_cpu; /* its registers are in a CPU, not at `sp` */
	struct list_head rq_node;
	struct cputime cputime; /* until it was last switched to */

	/* Set by anyone, acted on by the task on its way to user mode, or by the scheduler. */
	u32 work;	/* TASK_WORK_* */
	int migrate_to; /* CPU to go to at the next switch, or -1 */
	cpumask_t cpus_allowed;

	/* Fixed after creation. */
	unsigned long stack; /* the lowest address of the kernel stack */
	bool is_idle;

	/* Under task_list_lock. */
	struct list_head task_node;
	/* Under the lock of the process. */
	struct list_head thread_node;
	struct cputime_ns cputime_said; /* to user mode */

	struct fpu_image fpu; /* user tasks only, while not running */
};

#define TASK_WORK_EXIT BIT(0)	/* the process is exiting */
#define TASK_WORK_FREEZE BIT(1) /* stop before user mode, for an audit */

static_assert(offsetof(struct task, sp) == offsetof(struct task_head, sp) &&
		      offsetof(struct task, tid) == offsetof(struct task_head, tid) &&
		      offsetof(struct task, name) == offsetof(struct task_head, name),
	      "a task begins with its head");

/* The boot CPU's context until its idle task is ready: locks and panics need a task. */
extern struct task boot_task;

/* The process of the current task ends: what takes long stops. Kernel threads never end so. */
static inline bool task_is_ending(void)
{
	return unlikely(READ_ONCE(current->work) & TASK_WORK_EXIT);
}

/*
 * A base that is set by itself goes with a null selector, or the next load of the selector ends it.
 */
static inline void set_fs_base(struct task *t, unsigned long base)
{
	t->selectors.fs = 0;
	t->fs_base = base;
}

static inline void set_gs_base(struct task *t, unsigned long base)
{
	t->selectors.gs = 0;
	t->gs_base = base;
}

/* The registers of the task's last entry from user mode, at the top of its kernel stack. */
struct pt_regs *task_user_regs(struct task *t);

/*
 * A task with a kernel stack that will run @entry(@arg); not yet on a run queue. NULL: no memory.
 */
struct task *task_create(const char *name, void (*entry)(void *), void *arg);
/* Before its first start: what @t will run. */
void task_set_entry(struct task *t, void (*entry)(void *), void *arg);
/* Return a task that has never run, or that is dead and off its CPU. */
void task_free(struct task *t);
/* A started kernel thread on any CPU of its choice; panics when out of memory (boot and tests
 * only). */
struct task *kthread_run(const char *name, void (*fn)(void *), void *arg);
/* End the calling task. */
void task_exit(void) __noreturn;

/* Tasks that exist, idle ones and dead ones that are not freed yet included. */
unsigned task_count(void);
/*
 * Call @fn for each task, under the task list's lock. How many tasks have left the list and are yet
 * to give back all that they had.
 */
unsigned for_each_task(void (*fn)(struct task *t, void *arg), void *arg);
/* The same in a panic, without the lock, while @fn wants more; false if it did not. */
bool for_each_task_unlocked(bool (*fn)(struct task *t));
/* @name is copied, cut to TASK_NAME_LEN - 1 bytes; @t is the caller's, or not started yet. */
void set_task_name(struct task *t, const char *name);
