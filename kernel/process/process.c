/*
 * Processes. A process is its threads, an mm that they share, and a place in the tree.
 *
 * Lock: process_lock, for the tree and for every field that process.h puts under it. mm_put() and
 * whatever else may sleep happens outside of it.
 */
#include "kernel/process/process_internal.h"

#include <limits.h>

#include "kernel/arch/irqflags.h"
#include "kernel/arch/ptregs.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/debug/unsupported.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/process/exec.h"
#include "kernel/process/futex.h"
#include "kernel/sched/freezer.h"
#include "kernel/sched/tid.h"
#include "mm/frame/page.h"
#include "mm/frame/slab.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/table/kstack.h"

#define CLONE_SIGHAND 0x800
#define CLONE_THREAD 0x10000
#define CLONE_SETTLS 0x80000
#define CLONE_PARENT_SETTID 0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#define CLONE_CHILD_SETTID 0x1000000
/* What a thread must share, and what else is accepted without effect (fs, files, sysvsem, detached,
 * ptrace, untraced, io). */
#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_IGNORED (0x200 | 0x400 | 0x2000 | 0x40000 | 0x400000 | 0x800000 | 0x80000000UL)
#define CLONE_KNOWN                                                                                \
	(CLONE_THREAD_FLAGS | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |          \
	 CLONE_CHILD_SETTID | CLONE_VFORK | CLONE_IGNORED | CLONE_SIGNAL)
#define CLONE_SIGNAL 0xff		   /* what the parent gets when the child ends */
#define KERNEL_TASKS_MAX (MAX_CPUS + 64UL) /* idle tasks, and threads of the tests */
#define FORK_RESERVE_PART 32
#define FORK_RESERVE_EACH 4 /* pages */

static KMEM_CACHE(process_cache, struct process);
DEFINE_SPINLOCK(process_lock, LOCK_PROCESS);
static struct process kernel_process = {
	.children = LIST_HEAD_INIT(kernel_process.children),
	.child_event = {.lock = SPINLOCK_INIT(LOCK_WAIT),
			.waiters = LIST_HEAD_INIT(kernel_process.child_event.waiters)},
};
static atomic_t nr_user_tasks;

unsigned user_task_count(void)
{
	return atomic_read(&nr_user_tasks);
}

/* As Linux's threads-max: kernel stacks take a quarter of memory at most. */
static unsigned max_user_tasks(void)
{
	return min(max_pfn / (4 * KSTACK_SIZE / PAGE_SIZE), MAX_KSTACKS - KERNEL_TASKS_MAX);
}

/* Count one more; false: there are as many as there may be. */
static bool claim_task(void)
{
	if ((unsigned)atomic_inc_return(&nr_user_tasks) <= max_user_tasks())
		return true;
	atomic_dec(&nr_user_tasks);
	return false;
}

static void release_task(void)
{
	atomic_dec(&nr_user_tasks);
}

/*
 * A new process needs memory for the pages that it will write, when it can no longer be refused. So
 * none is made that takes what those that run need to go on: a few pages each, and some for all.
 */
static bool fork_fits(void)
{
	return page_kind_count(PAGE_FREE) >=
	       (s64)max_pfn / FORK_RESERVE_PART + FORK_RESERVE_EACH * (s64)user_task_count();
}

/* Its limits are its maker's to set. */
static struct process *process_alloc(void)
{
	struct process *p = kmem_cache_zalloc(&process_cache);

	if (!p)
		return NULL;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->threads);
	wait_queue_init(&p->child_event);
	p->exit_signal = SIGCHLD;
	return p;
}

/* @p never began, or somebody has waited for it. */
static void process_free(struct process *p)
{
	if (p->pid)
		tid_put(p->pid);
	kmem_cache_free(&process_cache, p);
}

/* --- birth --- */

/* Make @t, which has an mm, a thread of @p; if it is the first, @p becomes a child of @parent. */
static void attach(struct task *t, struct process *p, struct process *parent)
{
	spin_lock(&process_lock);
	t->process = p;
	if (parent) {
		tid_get(t->tid);
		p->pid = t->tid;
		p->parent = parent;
		p->ppid = parent->pid;
		p->pgid = parent == &kernel_process ? p->pid : parent->pgid;
		p->sid = parent == &kernel_process ? p->pid : parent->sid;
		list_add_tail(&p->sibling, &parent->children);
	}
	list_add_tail(&t->thread_node, &p->threads);
	/* A thread born into a process that is ending ends before it reaches user mode. */
	if (p->exiting)
		t->work |= TASK_WORK_EXIT;
	spin_unlock(&process_lock);
}

static void copy_user_state(struct task *t, const struct pt_regs *regs,
			    const struct clone_args *args)
{
	struct pt_regs *child = task_user_regs(t);
	unsigned long flags = local_irq_save();

	pv_save_user_segments(current);
	fpu_save(&t->fpu);
	local_irq_restore(flags);
	*child = *regs;
	child->ax = 0;
	if (args->stack)
		child->sp = args->stack;
	t->selectors = current->selectors;
	t->fs_base = current->fs_base;
	t->gs_base = current->gs_base;
	if (args->flags & CLONE_SETTLS)
		set_fs_base(t, args->tls);
	t->sig_blocked = current->sig_blocked;
	t->cpus_allowed = current->cpus_allowed;
	t->cpu = smp_processor_id();
	if (args->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = args->child_tid;
}

/* The child's first steps, in its own context, because they may touch its own memory. */
static void child_start(void *regs)
{
	struct pt_regs *r = regs;

	/* orig_ax is free: clone left the address for CLONE_CHILD_SETTID there. */
	if (r->orig_ax)
		put_user32(r->orig_ax, current->tid);
	pv_enter_user(regs);
}

static long clone_task(const struct pt_regs *regs, const struct clone_args *args, struct mm *mm,
		       struct process *p)
{
	struct task *t = task_create(current->name, child_start, NULL);
	int tid;

	if (!t)
		return -ENOMEM;
	copy_user_state(t, regs, args);
	task_set_entry(t, child_start, task_user_regs(t));
	task_user_regs(t)->orig_ax = args->flags & CLONE_CHILD_SETTID ? args->child_tid : 0;
	t->mm = mm;
	tid = t->tid;
	if (args->flags & CLONE_PARENT_SETTID)
		put_user32(args->parent_tid,
			   tid); /* as on Linux a bad address is the caller's affair */
	attach(t, p, p == current->process ? NULL : current->process);
	wake_up_new_task(t);
	return tid;
}

static long clone_thread(const struct pt_regs *regs, const struct clone_args *args)
{
	long ret;

	atomic_inc(&current->mm->users);
	ret = clone_task(regs, args, current->mm, current->process);
	if (ret < 0)
		atomic_dec(&current->mm->users);
	return ret;
}

/* The mm of a new process: with CLONE_VM its parent's. */
static struct mm *clone_mm(const struct clone_args *args)
{
	if (!(args->flags & CLONE_VM))
		return mm_fork(current->mm);
	atomic_inc(&current->mm->users);
	return current->mm;
}

static void inherit(struct process *p, const struct clone_args *args)
{
	struct process *self = current->process;

	p->exit_signal = args->flags & CLONE_SIGNAL;
	spin_lock(&process_lock);
	memcpy(p->limits, self->limits, sizeof(p->limits));
	p->sig_ignored = self->sig_ignored;
	spin_unlock(&process_lock);
}

static long clone_process(const struct pt_regs *regs, const struct clone_args *args)
{
	struct process *p = process_alloc();
	struct mm *mm = p ? clone_mm(args) : NULL;
	long ret = -ENOMEM;

	if (mm) {
		inherit(p, args);
		ret = clone_task(regs, args, mm, p);
	}
	if (ret < 0) {
		if (mm)
			mm_put(mm);
		if (p)
			process_free(p);
	}
	return ret;
}

static bool child_lives(struct process *self, int pid)
{
	struct process *c;
	bool lives = false;

	spin_lock(&process_lock);
	list_for_each_entry(c, &self->children, sibling)
		lives |= c->pid == pid && !c->zombie;
	spin_unlock(&process_lock);
	return lives;
}

/* vfork: until the child is gone, for no program follows another. */
static void wait_for_child(int pid)
{
	struct process *self = current->process;

	wait_event_state(&self->child_event, !child_lives(self, pid), TASK_INTERRUPTIBLE);
}

/* The combinations that clone(2) forbids, and those that Pteron has not. */
static long check_clone(unsigned long flags)
{
	unsigned long what = flags & CLONE_THREAD_FLAGS;
	int signal = flags & CLONE_SIGNAL;

	if (flags & ~(unsigned long)CLONE_KNOWN)
		return unsupported(EINVAL, "clone: flags %#lx",
				   flags & ~(unsigned long)CLONE_KNOWN);
	if (((what & CLONE_THREAD) && !(what & CLONE_SIGHAND)) ||
	    ((what & CLONE_SIGHAND) && !(what & CLONE_VM)))
		return -EINVAL;
	if (what == (CLONE_VM | CLONE_SIGHAND))
		return unsupported(EINVAL, "clone: CLONE_SIGHAND without CLONE_THREAD");
	if (!(what & CLONE_THREAD) && signal && signal != SIGCHLD)
		return unsupported(EINVAL, "clone: signal %d at the end", signal);
	return 0;
}

/* Errors as on Linux: the number of tasks is a matter of time, -EAGAIN; memory is -ENOMEM. */
static long clone_counted(const struct pt_regs *regs, const struct clone_args *args)
{
	long ret = -ENOMEM;

	if (!claim_task())
		return -EAGAIN;
	if (fork_fits())
		ret = args->flags & CLONE_THREAD ? clone_thread(regs, args)
						 : clone_process(regs, args);
	if (ret < 0)
		release_task();
	return ret;
}

long do_clone(const struct pt_regs *regs, const struct clone_args *args)
{
	long ret = check_clone(args->flags);

	if (ret)
		return ret;
	if ((args->flags & CLONE_SETTLS) && args->tls >= USER_END)
		return -EPERM; /* the CPU refuses a base that is not canonical */
	ret = clone_counted(regs, args);
	if (ret > 0 && (args->flags & (CLONE_THREAD | CLONE_VFORK)) == CLONE_VFORK)
		wait_for_child(ret);
	return ret;
}

static void spawned_start(void *arg)
{
	struct exec_args *args = arg;
	int err = exec_load(args, task_user_regs(current));

	kmem_cache_free(&exec_args_cache, args);
	if (err)
		do_exit_group(STATUS_EXITED(127));
	pv_enter_user(task_user_regs(current));
}

struct task *user_process_create(const char *name, void (*entry)(void *), void *arg,
				 struct process *parent)
{
	struct process *p = process_alloc();
	struct mm *mm = mm_alloc();
	struct task *t = task_create(name, entry, arg);

	if (p && mm && t && claim_task()) {
		t->mm = mm;
		t->fpu = fpu_initial;
		rlimits_init(p->limits);
		attach(t, p, parent ? parent : &kernel_process);
		return t;
	}
	if (p)
		process_free(p);
	if (mm)
		mm_put(mm);
	if (t)
		task_free(t);
	return NULL;
}

int process_spawn(const char *const argv[])
{
	struct exec_args *args = exec_args_alloc(argv);
	struct task *t = args ? user_process_create(argv[0], spawned_start, args, NULL) : NULL;
	int pid;

	if (!t) {
		if (args)
			kmem_cache_free(&exec_args_cache, args);
		return -ENOMEM;
	}
	pid = t->tid;
	wake_up_new_task(t);
	return pid;
}

/* --- end --- */

void begin_exit(struct process *p, int status)
{
	struct task *t;

	if (p->exiting)
		return;
	p->exiting = true;
	p->status = status;
	list_for_each_entry(t, &p->threads, thread_node) {
		__atomic_or_fetch(&t->work, TASK_WORK_EXIT, __ATOMIC_SEQ_CST);
		if (t == current)
			continue;
		if (READ_ONCE(t->state) == TASK_INTERRUPTIBLE)
			wake_up_task(t);
		kick_task(t);
	}
}

static void reparent_children(struct process *p, struct list_head *reap) __must_hold(process_lock)
{
	struct process *c, *next;

	list_for_each_entry_safe(c, next, &p->children, sibling) {
		list_del(&c->sibling);
		c->parent = &kernel_process;
		WRITE_ONCE(c->ppid, kernel_process.pid);
		c->orphan = true;
		list_add_tail(&c->sibling, c->zombie ? reap : &kernel_process.children);
	}
}

static void free_processes(struct list_head *list)
{
	struct process *p, *next;

	list_for_each_entry_safe(p, next, list, sibling) {
		list_del(&p->sibling);
		process_free(p);
	}
}

/* Children of who ignores SIGCHLD leave no zombies. */
static bool is_unwanted(const struct process *p) __must_hold(process_lock)
{
	return p->exit_signal == SIGCHLD && (p->parent->sig_ignored & SIG_BIT(SIGCHLD));
}

/* Take the current task out of its process; the last thread makes it a zombie, or reaps it. */
static void leave_process(int status)
{
	struct process *p = current->process;
	LIST_HEAD(reap);

	spin_lock(&process_lock);
	list_del(&current->thread_node);
	cputime_add(&p->ended_threads, sched_cputime(current));
	if (list_empty(&p->threads)) {
		if (!p->exiting)
			p->status = status;
		p->exiting = true;
		reparent_children(p, &reap);
		p->zombie = true;
		if (p->orphan || is_unwanted(p)) {
			list_del(&p->sibling);
			list_add(&p->sibling, &reap);
		}
		if (!p->orphan)
			wake_up_all(&p->parent->child_event);
	}
	current->process = NULL;
	spin_unlock(&process_lock);
	free_processes(&reap);
}

/* Tell whoever joins this thread; with nobody left in the mm nobody looks. */
static void clear_child_tid(void)
{
	unsigned long addr = current->clear_child_tid;

	if (addr && atomic_read(&current->mm->users) > 1 && !put_user32(addr, 0))
		futex_wake(addr, 1);
}

static void drop_mm(void)
{
	struct mm *mm = current->mm;

	mm_use(NULL);
	mm_put(mm);
}

static void __noreturn exit_thread(int status)
{
	lazy_mmu_assert_clean();
	lockdep_assert_none_held("a user task ends");
	WRITE_ONCE(current->ending, true);
	clear_child_tid();
	drop_mm();
	leave_process(status);
	release_task();
	task_exit();
}

void do_exit_thread(int code)
{
	exit_thread(STATUS_EXITED(code));
}

void do_exit_group(int status)
{
	spin_lock(&process_lock);
	begin_exit(current->process, status);
	spin_unlock(&process_lock);
	exit_thread(status);
}

void kill_current_process(const struct pt_regs *regs, int signal, const char *why,
			  unsigned long addr)
{
	count(CNT_KILLED_TASKS);
	trace(TRACE_KILL, mm_context(current->mm), addr, (u64)why);
	pr_info("task %s (pid %d tid %d): killed by signal %d: %s at %#lx, ip %#lx sp %#lx error "
		"%#lx\n",
		current->name, current->process->pid, current->tid, signal, why, addr, regs->ip,
		regs->sp, regs->orig_ax);
	do_exit_group(STATUS_SIGNALLED(signal));
}

void task_work_run(struct pt_regs *regs __unused)
{
	if (READ_ONCE(current->work) & TASK_WORK_EXIT)
		exit_thread(current->process->status);
	if (READ_ONCE(current->work) & TASK_WORK_FREEZE)
		freezer_park();
}

/* --- waiting --- */

#define WNOHANG 1
#define WUNTRACED 2 /* without effect: nobody stops */
#define WCONTINUED 8
#define __WNOTHREAD 0x20000000
#define __WALL 0x40000000
#define __WCLONE 0x80000000U
#define WAIT_OPTIONS (WNOHANG | WUNTRACED | WCONTINUED | __WALL | __WCLONE)

/* Whether wait4(@pid, @options) of @p means its child @c: wait4(2). */
static bool is_waited_for(const struct process *p, const struct process *c, int pid, u32 options)
{
	bool clone = c->exit_signal != SIGCHLD;

	if (c->orphan || (!(options & __WALL) && clone != !!(options & __WCLONE)))
		return false;
	if (pid > 0)
		return c->pid == pid;
	return pid == -1 || c->pgid == (pid ? -pid : p->pgid);
}

/* A zombie child of @p that @pid and @options select, taken out of the tree; else NULL, and whether
 * there is a child to wait for at all. */
static struct process *take_zombie(struct process *p, int pid, u32 options, bool *any)
{
	struct process *c, *found = NULL;

	*any = false;
	spin_lock(&process_lock);
	list_for_each_entry(c, &p->children, sibling) {
		if (!is_waited_for(p, c, pid, options))
			continue;
		*any = true;
		if (c->zombie) {
			found = c;
			list_del(&c->sibling);
			break;
		}
	}
	spin_unlock(&process_lock);
	return found;
}

int process_wait(int pid)
{
	struct process *zombie;
	bool any;
	int status;

	wait_event(&kernel_process.child_event,
		   (zombie = take_zombie(&kernel_process, pid, __WALL, &any)) || !any);
	BUG_ON(!zombie);
	status = zombie->status;
	process_free(zombie);
	return status;
}

/* @zombie's time, with its children's, becomes that of children of @p. */
static struct cputime_ns account_child(struct process *p, struct process *zombie)
{
	struct cputime_ns time;

	spin_lock(&process_lock);
	time = process_cputime(zombie);
	cputime_ns_add(&time, zombie->children_time);
	cputime_ns_add(&p->children_time, time);
	spin_unlock(&process_lock);
	return time;
}

long do_wait4(int pid, unsigned long status, int options, unsigned long rusage)
{
	struct process *self = current->process, *zombie;
	struct cputime_ns time;
	bool any;
	long ret;

	if (options & __WNOTHREAD)
		return unsupported(EINVAL, "wait4: __WNOTHREAD");
	if (options & ~WAIT_OPTIONS)
		return -EINVAL;
	if (pid == INT_MIN)
		return -ESRCH;
	zombie = take_zombie(self, pid, options, &any);
	if (!zombie && any && !(options & WNOHANG))
		wait_event_state(&self->child_event,
				 (zombie = take_zombie(self, pid, options, &any)) || !any,
				 TASK_INTERRUPTIBLE);
	if (!zombie)
		return !any ? -ECHILD : options & WNOHANG ? 0 : -EINTR;
	ret = zombie->pid;
	time = account_child(self, zombie);
	if ((status && put_user32(status, zombie->status)) || (rusage && put_rusage(rusage, time)))
		ret = -EFAULT;
	process_free(zombie);
	return ret;
}

/* --- affinity --- */

long do_sched_setaffinity(int tid, size_t len, unsigned long mask)
{
	cpumask_t want = {0};
	struct task *t;
	long ret = -ESRCH;

	if (copy_from_user(&want, mask, min(len, sizeof(want))))
		return -EFAULT;
	if (!tid || tid == current->tid)
		return sched_setaffinity(current, &want); /* may switch: not under a lock */
	spin_lock(&process_lock);
	t = find_user_task(tid);
	if (t)
		ret = sched_setaffinity(t, &want);
	spin_unlock(&process_lock);
	return ret;
}

long do_sched_getaffinity(int tid, size_t len, unsigned long mask)
{
	cpumask_t have = {0};
	struct task *t;

	if (len * 8 < cpumask_weight(&cpu_online_mask) || len % sizeof(unsigned long))
		return -EINVAL;
	spin_lock(&process_lock);
	t = find_user_task(tid);
	if (t)
		have = t->cpus_allowed;
	spin_unlock(&process_lock);
	if (!t)
		return -ESRCH;
	len = min(len, sizeof(have));
	return copy_to_user(mask, &have, len) ? -EFAULT : (long)len;
}
