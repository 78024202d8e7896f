/*
 * Creation and end of tasks; the list of all of them.
 *
 * Lock: task_list_lock guards the list.
 */
#include "kernel/sched/task.h"

#include "kernel/arch/ptregs.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/tid.h"
#include "mm/frame/slab.h"
#include "mm/table/kstack.h"

struct task boot_task = {.name = "boot", .on_cpu = true, .migrate_to = -1};

static_assert(offsetof(struct task, sp) == 0, "switch.asm stores rsp at the task's address");

static DEFINE_SPINLOCK(task_list_lock, LOCK_TASK_LIST);
static LIST_HEAD(task_list);
static KMEM_CACHE(task_cache, struct task);
static unsigned nr_tasks __guarded_by(task_list_lock);

void task_entry(void); /* switch.asm */

struct pt_regs *task_user_regs(struct task *t)
{
	return (struct pt_regs *)(t->stack + KSTACK_SIZE) - 1;
}

void set_task_name(struct task *t, const char *name)
{
	strlcpy(t->name, name, sizeof(t->name));
}

/* The frame that switch_stacks() pops: r15 r14 r13 r12 rbx rbp and the return address. */
void task_set_entry(struct task *t, void (*entry)(void *), void *arg)
{
	unsigned long *sp = (unsigned long *)task_user_regs(t);

	*--sp = (unsigned long)task_entry;
	*--sp = 0;
	*--sp = (unsigned long)entry;
	*--sp = (unsigned long)arg;
	*--sp = 0;
	*--sp = 0;
	*--sp = 0;
	t->sp = (unsigned long)sp;
}

struct task *task_create(const char *name, void (*entry)(void *), void *arg)
{
	struct task *t = kmem_cache_zalloc(&task_cache);

	if (!t)
		return NULL;
	t->tid = tid_alloc();
	t->stack = t->tid ? kstack_alloc() : 0;
	if (!t->stack) {
		if (t->tid)
			tid_put(t->tid);
		kmem_cache_free(&task_cache, t);
		return NULL;
	}
	set_task_name(t, name);
	t->migrate_to = -1;
	t->cpus_allowed = cpu_online_mask;
	list_init(&t->rq_node);
	list_init(&t->thread_node);
	task_set_entry(t, entry, arg);
	spin_lock(&task_list_lock);
	nr_tasks++;
	list_add_tail(&t->task_node, &task_list);
	spin_unlock(&task_list_lock);
	return t;
}

void task_free(struct task *t)
{
	unsigned long stack = t->stack;
	int tid = t->tid;

	spin_lock(&task_list_lock);
	list_del(&t->task_node);
	spin_unlock(&task_list_lock);
	kmem_cache_free(&task_cache, t);
	kstack_free(stack);
	tid_put(tid);
	spin_lock(&task_list_lock);
	nr_tasks--; /* last: who waits for the count finds everything given back */
	spin_unlock(&task_list_lock);
}

unsigned task_count(void)
{
	unsigned n;

	spin_lock(&task_list_lock);
	n = nr_tasks;
	spin_unlock(&task_list_lock);
	return n;
}

struct task *kthread_run(const char *name, void (*fn)(void *), void *arg)
{
	struct task *t = task_create(name, fn, arg);

	if (!t)
		panic("out of memory for kernel thread %s", name);
	wake_up_new_task(t);
	return t;
}

void task_exit(void)
{
	lockdep_assert_none_held("a task ends");
	WRITE_ONCE(current->ending, true);
	kstack_trim();
	set_current_state(TASK_DEAD);
	schedule();
	panic("a dead task was scheduled");
}

unsigned for_each_task(void (*fn)(struct task *t, void *arg), void *arg)
{
	unsigned unlisted;
	struct task *t;

	spin_lock(&task_list_lock);
	unlisted = nr_tasks;
	list_for_each_entry(t, &task_list, task_node) {
		fn(t, arg);
		unlisted--;
	}
	spin_unlock(&task_list_lock);
	return unlisted;
}

/* Not analysed: a panic goes along the list without its lock. */
bool for_each_task_unlocked(bool (*fn)(struct task *t)) __no_thread_safety
{
	struct task *t;
	unsigned left = nr_tasks; /* a list in the middle of a change may have no end */

	list_for_each_entry(t, &task_list, task_node)
		if (!left-- || !fn(t))
			return false;
	return true;
}
