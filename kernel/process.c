/*
 * Processes. A process is its threads, an mm that they share, and a place in the tree.
 *
 * Lock: process_lock, for the tree and for every field that process.h puts under it. mm_put() and
 * whatever else may sleep happens outside of it.
 */
#include "kernel/process.h"

#include "kernel/counters.h"
#include "kernel/errno.h"
#include "kernel/exec.h"
#include "kernel/freezer.h"
#include "kernel/futex.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/ptregs.h"
#include "kernel/string.h"
#include "kernel/uaccess.h"
#include "mm/lazy_mmu.h"
#include "mm/slab.h"
#include "mm/tlb.h"

#define CLONE_VM 0x100
#define CLONE_SIGHAND 0x800
#define CLONE_THREAD 0x10000
#define CLONE_SETTLS 0x80000
#define CLONE_PARENT_SETTID 0x100000
#define CLONE_CHILD_CLEARTID 0x200000
#define CLONE_CHILD_SETTID 0x1000000
/* What a thread must share, and what else is accepted without effect (fs, files, sysvsem,
 * detached). */
#define CLONE_THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define CLONE_IGNORED (0x200 | 0x400 | 0x40000 | 0x400000)
#define CLONE_KNOWN                                                                                \
	(CLONE_THREAD_FLAGS | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |          \
	 CLONE_CHILD_SETTID | CLONE_IGNORED | 0xff)
#define WNOHANG 1

static KMEM_CACHE(process_cache, struct process);
static DEFINE_SPINLOCK(process_lock, LOCK_PROCESS);
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

static struct process *process_alloc(void)
{
	struct process *p = kmem_cache_zalloc(&process_cache);

	if (!p)
		return NULL;
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->threads);
	wait_queue_init(&p->child_event);
	return p;
}

/* --- birth --- */

/* Make @t, which has an mm, a thread of @p; if it is the first, @p becomes a child of @parent. */
static void attach(struct task *t, struct process *p, struct process *parent)
{
	atomic_inc(&nr_user_tasks);
	spin_lock(&process_lock);
	t->process = p;
	if (parent) {
		p->pid = t->tid;
		p->parent = parent;
		p->ppid = parent->pid;
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

static long clone_process(const struct pt_regs *regs, const struct clone_args *args)
{
	struct process *p = process_alloc();
	struct mm *mm = p ? mm_fork(current->mm) : NULL;
	long ret = mm ? clone_task(regs, args, mm, p) : -ENOMEM;

	if (ret < 0) {
		if (mm)
			mm_put(mm);
		if (p)
			kmem_cache_free(&process_cache, p);
	}
	return ret;
}

long do_clone(const struct pt_regs *regs, const struct clone_args *args)
{
	if (args->flags & ~(unsigned long)CLONE_KNOWN)
		return -EINVAL;
	if ((args->flags & CLONE_SETTLS) && args->tls >= USER_END)
		return -EPERM; /* the CPU refuses a base that is not canonical */
	if ((args->flags & CLONE_THREAD_FLAGS) == CLONE_THREAD_FLAGS)
		return args->stack ? clone_thread(regs, args) : -EINVAL;
	if (args->flags & CLONE_THREAD_FLAGS)
		return -EINVAL;
	return clone_process(regs, args);
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

int process_spawn(const char *const argv[])
{
	struct exec_args *args = exec_args_alloc(argv);
	struct process *p = process_alloc();
	struct mm *mm = mm_alloc();
	struct task *t = task_create(argv[0], spawned_start, args);
	int pid;

	if (!args || !p || !mm || !t) {
		if (args)
			kmem_cache_free(&exec_args_cache, args);
		if (p)
			kmem_cache_free(&process_cache, p);
		if (mm)
			mm_put(mm);
		if (t)
			task_free(t);
		return -ENOMEM;
	}
	t->mm = mm;
	t->fpu = fpu_initial;
	pid = t->tid;
	attach(t, p, &kernel_process);
	wake_up_new_task(t);
	return pid;
}

/* --- end --- */

static void begin_exit(struct process *p, int status) __must_hold(process_lock)
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
		kmem_cache_free(&process_cache, p);
	}
}

/* Take the current task out of its process; the last thread makes it a zombie, or reaps it. */
static void detach(int status)
{
	struct process *p = current->process;
	LIST_HEAD(reap);

	spin_lock(&process_lock);
	list_del(&current->thread_node);
	if (list_empty(&p->threads)) {
		if (!p->exiting)
			p->status = status;
		p->exiting = true;
		reparent_children(p, &reap);
		p->zombie = true;
		if (p->orphan) {
			list_del(&p->sibling);
			list_add(&p->sibling, &reap);
		} else {
			wake_up_all(&p->parent->child_event);
		}
	}
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
	clear_child_tid();
	drop_mm();
	detach(status);
	current->process = NULL;
	atomic_dec(&nr_user_tasks);
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

/* A zombie child of @p that @pid selects (-1: any), taken out of the tree; else NULL, and whether
 * there is a child to wait for at all. */
static struct process *take_zombie(struct process *p, int pid, bool *any)
{
	struct process *c, *found = NULL;

	*any = false;
	spin_lock(&process_lock);
	list_for_each_entry(c, &p->children, sibling) {
		if (c->orphan || (pid != -1 && c->pid != pid))
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
		   (zombie = take_zombie(&kernel_process, pid, &any)) || !any);
	BUG_ON(!zombie);
	status = zombie->status;
	kmem_cache_free(&process_cache, zombie);
	return status;
}

long do_wait4(int pid, unsigned long status, int options, unsigned long rusage)
{
	struct process *self = current->process, *zombie;
	bool any;
	long ret;

	if ((options & ~WNOHANG) || pid == 0 || pid < -1)
		return -EINVAL;
	zombie = take_zombie(self, pid, &any);
	if (!zombie && any && !(options & WNOHANG))
		wait_event_state(&self->child_event,
				 (zombie = take_zombie(self, pid, &any)) || !any,
				 TASK_INTERRUPTIBLE);
	if (!zombie)
		return !any ? -ECHILD : options & WNOHANG ? 0 : -EINTR;
	ret = zombie->pid;
	if ((status && put_user32(status, zombie->status)) || (rusage && clear_user(rusage, 144)))
		ret = -EFAULT;
	kmem_cache_free(&process_cache, zombie);
	return ret;
}

/* --- affinity --- */

static struct task *find_thread(int tid) __must_hold(process_lock)
{
	struct task *t;

	if (!tid)
		return current;
	list_for_each_entry(t, &current->process->threads, thread_node)
		if (t->tid == tid)
			return t;
	return NULL;
}

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
	t = find_thread(tid);
	if (t)
		ret = sched_setaffinity(t, &want);
	spin_unlock(&process_lock);
	return ret;
}

long do_sched_getaffinity(int tid, size_t len, unsigned long mask)
{
	cpumask_t have = {0};
	struct task *t;

	if (len < sizeof(have) && len * 8 < cpumask_weight(&cpu_online_mask))
		return -EINVAL;
	spin_lock(&process_lock);
	t = find_thread(tid);
	if (t)
		have = t->cpus_allowed;
	spin_unlock(&process_lock);
	if (!t)
		return -ESRCH;
	len = min(len, sizeof(have));
	return copy_to_user(mask, &have, len) ? -EFAULT : (long)len;
}
