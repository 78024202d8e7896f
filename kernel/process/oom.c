/*
 * Out of memory. The policy:
 *
 *  - A system call that finds no memory answers -ENOMEM, and nobody ends for it. Only a page fault
 *    has no such answer: the task that takes it sleeps until one thread, here, has made room.
 *  - First goes what nobody uses: free frames that CPUs keep, empty page tables, kernel stacks.
 *  - Then one process ends, by SIGKILL: the one that holds most, counted as its pages (those that
 * it shares, too), page tables and kernel stacks; among equals the youngest. A first process, which
 *    the kernel started, ends only when there is no other.
 *  - A process that ends already, for whatever reason, is waited for instead, so the next one is
 *    chosen only when the memory of the former is back. One that does not end in OOM_PATIENCE_NS is
 *    named and counts no more. Kernel threads are never chosen.
 *  - So that a fork bomb does not come to that, fork leaves memory for those that run: fork_fits()
 *    in process.c.
 *
 * Locks: none is held for long. Processes are looked at one by one, with a reference to the address
 * space, so others may come and go meanwhile.
 */
#include "kernel/process/oom.h"

#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/atomic.h"
#include "kernel/process/process.h"
#include "kernel/sched/timeout.h"
#include "kernel/sched/wait.h"
#include "kernel/time/clock.h"
#include "mm/frame/page.h"
#include "mm/mm.h"
#include "mm/space/footprint.h"
#include "mm/table/kstack.h"
#include "mm/table/table_reserve.h"

#define OOM_PATIENCE_NS 10000000000UL
#define POLL_NS 10000000UL
#define ENOUGH 64 /* frames: with so many, nobody needs to end */
#define KIB_EACH (PAGE_SIZE >> 10)

static struct {
	struct task *task;
	bool wanted;
	u64 rounds; /* how often room was made */
	u64 gone;   /* address spaces that were waited for, and are no more */
	struct wait_queue waiters;
} oom = {
	.waiters = {.lock = SPINLOCK_INIT(LOCK_WAIT),
		    .waiters = LIST_HEAD_INIT(oom.waiters.waiters)},
};

bool out_of_memory(void)
{
	u64 round = READ_ONCE(oom.rounds);

	if (!current->process || task_is_ending())
		return false;
	WRITE_ONCE(oom.wanted, true);
	wake_up_task(oom.task);
	wait_event_state(&oom.waiters, READ_ONCE(oom.rounds) != round, TASK_INTERRUPTIBLE);
	return !task_is_ending();
}

static void memory_is_back(void)
{
	__atomic_add_fetch(&oom.gone, 1, __ATOMIC_SEQ_CST);
	wake_up_task(oom.task);
}

/* --- what nobody uses --- */

static void give_back_unused(void)
{
	for_each_online_cpu(cpu) {
		cpumask_t there = {0};

		cpumask_set(&there, cpu);
		BUG_ON(sched_setaffinity(current, &there));
		page_cache_give_back();
	}
	BUG_ON(sched_setaffinity(current, &cpu_online_mask));
	table_reserve_give_back();
	kstack_give_back();
	page_cache_give_back();
}

/* --- who ends --- */

struct choice {
	bool ending;		    /* a process ends already */
	struct process_info victim; /* .mm NULL: none so far */
	struct footprint most;
};

static unsigned long pages_held(const struct process_info *p, const struct footprint *f)
{
	return f->pages + f->tables + p->threads * (KSTACK_SIZE / PAGE_SIZE);
}

/* In order of pid, so among equals the last one is the youngest. */
static bool is_better(const struct choice *c, const struct process_info *p,
		      const struct footprint *f)
{
	if (!c->victim.mm)
		return true;
	if (p->first != c->victim.first)
		return c->victim.first;
	return pages_held(p, f) >= pages_held(&c->victim, &c->most);
}

/* The reference to the address space of @p is ours. */
static void consider(struct choice *c, struct process_info *p)
{
	struct process_info loser = *p;
	struct footprint f;

	if (!p->mm)
		return;
	if (p->exiting && !p->mm->oom_skip) {
		p->mm->oom_awaited = memory_is_back;
		c->ending = true;
	} else if (!p->exiting) {
		f = mm_footprint(p->mm);
		if (is_better(c, p, &f)) {
			loser = c->victim;
			c->victim = *p;
			c->most = f;
		}
	}
	if (loser.mm)
		mm_put(loser.mm);
}

static void choose(struct choice *c)
{
	struct process_info p[PROCESS_SNAPSHOT_MAX];
	unsigned n;

	for (int pid = 0; (n = process_snapshot(pid, p, ARRAY_SIZE(p))); pid = p[n - 1].pid)
		for (unsigned i = 0; i < n; i++)
			consider(c, &p[i]);
}

/*
 * It may have ended by itself meanwhile. Then its memory is awaited all the same. The reference
 * goes before it ends, so that its memory is back when others see it dead.
 */
static void end_victim(struct choice *c)
{
	struct process_info *v = &c->victim;

	v->mm->oom_awaited = memory_is_back;
	pr_info("out of memory: %s (pid %d) has most and ends: %lu KiB of pages, %lu KiB of page "
		"tables, %lu KiB of kernel stacks; %ld of %lu KiB are free\n",
		v->name, v->pid, c->most.pages * KIB_EACH, c->most.tables * KIB_EACH,
		v->threads * (KSTACK_SIZE >> 10), page_kind_count(PAGE_FREE) * (long)KIB_EACH,
		max_pfn * KIB_EACH);
	count(CNT_OOM_KILLS);
	mm_put(v->mm);
	v->mm = NULL;
	process_kill(v->pid, SIGKILL);
}

static void skip_awaited(struct mm *mm, void *unused __unused)
{
	mm->oom_skip |= mm->oom_awaited != NULL;
}

/* Until an address space that was marked is gone, from @gone on. */
static void await_memory(u64 gone)
{
	u64 end = clock_ns() + OOM_PATIENCE_NS;

	while (READ_ONCE(oom.gone) == gone) {
		if (clock_ns() > end) {
			pr_warn("out of memory: what should end does not; another process will\n");
			for_each_mm(skip_awaited, NULL);
			return;
		}
		set_current_state(TASK_BLOCKED);
		if (READ_ONCE(oom.gone) == gone)
			schedule_until(clock_ns() + POLL_NS);
		set_current_state(TASK_RUNNING);
	}
}

static void make_room(void)
{
	struct choice c = {.ending = false};
	u64 gone = READ_ONCE(oom.gone);

	give_back_unused();
	if (page_kind_count(PAGE_FREE) >= ENOUGH)
		return;
	choose(&c);
	/* To look at thousands takes a while, in which some may have ended. */
	if (!c.ending && c.victim.mm && page_kind_count(PAGE_FREE) < ENOUGH) {
		end_victim(&c);
		c.ending = true;
	}
	if (c.victim.mm)
		mm_put(c.victim.mm);
	if (c.ending)
		await_memory(gone);
	give_back_unused();
}

static void oom_main(void *unused __unused)
{
	for (;;) {
		set_current_state(TASK_BLOCKED);
		if (!READ_ONCE(oom.wanted))
			schedule();
		set_current_state(TASK_RUNNING);
		if (!xchg(&oom.wanted, false))
			continue;
		make_room();
		__atomic_add_fetch(&oom.rounds, 1, __ATOMIC_SEQ_CST);
		wake_up_all(&oom.waiters);
	}
}

void oom_init(void)
{
	oom.task = kthread_run("oom", oom_main, NULL);
}
