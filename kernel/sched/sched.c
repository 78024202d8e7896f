/*
 * The scheduler; its rules are in sched.h.
 *
 * Locks: each run queue has one, taken with interrupts off and held across the switch itself; the
 * task that is switched to releases it. Two run-queue locks are never held together: a task on its
 * way from one CPU to another is on neither queue, with `cpu` already naming its new one.
 */
#include "kernel/sched/sched.h"

#include "kernel/arch/io.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/cpu/rng.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/string.h"
#include "kernel/sched/timeout.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"

struct rq {
	struct spinlock lock;
	struct list_head queue;
	unsigned nr_queued;
	struct task *curr, *idle;
#ifdef CONFIG_DEBUG
	unsigned asks;	       /* how often somebody wanted this CPU to look here; lock */
	unsigned heard;	       /* those of them that were before it last looked; lock */
	unsigned asks_at_tick; /* this CPU's alone */
#endif
};
static DEFINE_PER_CPU(struct rq, runqueue);

DEFINE_PER_CPU(u32, preempt_word);
DEFINE_PER_CPU(struct task *, current_task);

static cpumask_t idle_mask; /* CPUs that are halted, or about to be, for want of a task */
struct sched_tuning sched_tuning = {.quantum_us = 4000};

#ifdef CONFIG_DEBUG
bool preempt_points;

void preempt_point_hit(void)
{
	const struct sched_tuning *tuning = &sched_tuning;
	u64 n;

	if (preempt_count() || irqs_disabled())
		return;
	preempt_disable();
	n = rng_below(this_cpu_rng(), 1000);
	preempt_enable();
	if (n < tuning->point_permille)
		sched_yield_in_lock();
	else if (n < tuning->point_permille + tuning->pause_permille)
		cpu_relax();
}
#endif

static void arm_tick(u64 now)
{
	u64 q = sched_tuning.quantum_us * 1000ULL;

	if (q)
		timer_set_tick(now + q / 2 + rng_below(this_cpu_rng(), q), now);
}

static void begin_ticks(void *unused __unused)
{
	if (!current->is_idle)
		arm_tick(clock_ns());
}

void sched_tune(struct sched_tuning tuning)
{
	bool begins = !sched_tuning.quantum_us && tuning.quantum_us;
	unsigned long flags;

	sched_tuning = tuning;
#ifdef CONFIG_DEBUG
	WRITE_ONCE(preempt_points, tuning.point_permille || tuning.pause_permille);
#endif
	if (begins) {
		preempt_disable();
		smp_call_mask(&cpu_online_mask, begin_ticks, NULL);
		flags = local_irq_save();
		begin_ticks(NULL); /* a call reaches the others only */
		local_irq_restore(flags);
		preempt_enable();
	}
}

/* switch.asm: saves what the ABI preserves, changes stacks, returns the task that was left. */
struct task *switch_stacks(struct task *prev, struct task *next);
void sched_task_start(struct task *prev);

static struct rq *rq_of(unsigned cpu)
{
	return per_cpu_ptr(runqueue, cpu);
}

enum place {
	AT_FRONT,
	AT_BACK,
};

static void enqueue(struct rq *rq, struct task *t, enum place place) __must_hold(rq->lock)
{
	if (place == AT_FRONT)
		list_add(&t->rq_node, &rq->queue);
	else
		list_add_tail(&t->rq_node, &rq->queue);
	WRITE_ONCE(rq->nr_queued, rq->nr_queued + 1);
}

static void dequeue(struct rq *rq, struct task *t) __must_hold(rq->lock)
{
	list_del(&t->rq_node);
	WRITE_ONCE(rq->nr_queued, rq->nr_queued - 1);
}

/* --- a wake-up that nobody hears until a tick comes --- */

#ifdef CONFIG_DEBUG
/*
 * An interrupt that has been sent comes by then: so much later, and after so many looks with
 * interrupts on, as the host may have stopped this CPU for any time.
 */
#define ASK_NS 10000000UL
#define ASK_LOOKS 1000

static void note_ask(struct rq *rq) __must_hold(rq->lock)
{
	rq->asks++;
}

static void note_heard(struct rq *rq) __must_hold(rq->lock)
{
	rq->heard = rq->asks;
}

/* The last ask that has not been heard, and whose interrupt has been sent; 0: there is none. */
static unsigned unheard_ask(struct rq *rq)
{
	unsigned long flags = spin_lock_irqsave(&rq->lock);
	unsigned ask = rq->asks != rq->heard ? rq->asks : 0;

	spin_unlock_irqrestore(&rq->lock, flags);
	return need_resched() ? 0 : ask;
}

/* Interrupts were on since the last tick: what was asked by then has come. */
static void assert_heard_at_tick(void)
{
	struct rq *rq = this_cpu_ptr(runqueue);
	unsigned ask = unheard_ask(rq);

	if (ask && ask == rq->asks_at_tick)
		panic("CPU %u has a task to run that only a tick tells it of", smp_processor_id());
	rq->asks_at_tick = ask;
}

/* This CPU has halted, and interrupts are on: its interrupt may still be on its way. */
static void assert_heard_after_halt(void)
{
	struct rq *rq = this_cpu_ptr(runqueue);
	u64 since = clock_ns();

	for (unsigned looks = 0; READ_ONCE(rq->nr_queued) && unheard_ask(rq); looks++) {
		if (looks > ASK_LOOKS && clock_ns() - since > ASK_NS)
			panic("idle CPU %u has a task to run and was not told", smp_processor_id());
		cpu_relax();
	}
}
#else
static void note_ask(struct rq *rq __unused) {}
static void note_heard(struct rq *rq __unused) {}
static void assert_heard_at_tick(void) {}
static void assert_heard_after_halt(void) {}
#endif

/* Ask @cpu to look at its run queue. */
static void resched_cpu(unsigned cpu)
{
	if (cpu == smp_processor_id())
		set_need_resched();
	else
		pv_send_ipi(cpu, VECTOR_RESCHED);
}

/* How a task that becomes runnable comes to its CPU. */
enum arrival {
	ARRIVE_LAST,  /* the task that runs there goes on */
	ARRIVE_NOW,   /* that task gives way, and all that wait are served in order */
	ARRIVE_FIRST, /* that task gives way, to this one */
};

/* Queue @t, which is on no queue and whose `cpu` is already set, on its CPU. */
static void enqueue_on_its_cpu(struct task *t, enum arrival how)
{
	unsigned cpu = t->cpu;
	struct rq *rq = rq_of(cpu);
	unsigned long flags = spin_lock_irqsave(&rq->lock);

	enqueue(rq, t, how == ARRIVE_FIRST ? AT_FRONT : AT_BACK);
	if (how != ARRIVE_LAST) {
		note_ask(rq);
		resched_cpu(cpu);
	}
	spin_unlock_irqrestore(&rq->lock, flags);
}

static void enqueue_remote(struct task *t)
{
	enqueue_on_its_cpu(t, ARRIVE_NOW);
}

/* @t waits for its CPU. Its run queue is locked. */
static bool is_queued(const struct task *t)
{
	return t->on_rq && !t->on_cpu && !list_empty(&t->rq_node);
}

static void move_to_front(struct rq *rq, struct task *t) __must_hold(rq->lock)
{
	dequeue(rq, t);
	enqueue(rq, t, AT_FRONT);
	note_ask(rq);
	resched_cpu(t->cpu);
}

/* Not analysed: the lock is that of the result, which an attribute cannot name. */
static struct rq *lock_task_rq(struct task *t, unsigned long *flags) __no_thread_safety
{
	for (;;) {
		unsigned cpu = READ_ONCE(t->cpu);
		struct rq *rq = rq_of(cpu);

		*flags = spin_lock_irqsave(&rq->lock);
		if (t->cpu == cpu)
			return rq;
		spin_unlock_irqrestore(&rq->lock, *flags);
	}
}

/* Not analysed: lock_task_rq() took the lock. */
static void unlock_task_rq(struct rq *rq, unsigned long flags) __no_thread_safety
{
	spin_unlock_irqrestore(&rq->lock, flags);
}

/* The CPU where @t had better run: its last one if idle, any idle one, its last one if allowed. */
static unsigned select_cpu(struct task *t)
{
	if (cpumask_test(&t->cpus_allowed, t->cpu) && cpumask_test(&idle_mask, t->cpu))
		return t->cpu;
	for_each_cpu_in(cpu, &idle_mask)
		if (cpumask_test(&t->cpus_allowed, cpu))
			return cpu;
	if (cpumask_test(&t->cpus_allowed, t->cpu))
		return t->cpu;
	return cpumask_next(&t->cpus_allowed, 0);
}

/* Not analysed: lock_task_rq() takes the lock. */
static bool wake_up(struct task *t, enum arrival how) __no_thread_safety
{
	unsigned long flags;
	struct rq *rq = lock_task_rq(t, &flags);
	bool blocked = t->state == TASK_BLOCKED || t->state == TASK_INTERRUPTIBLE, queue = false;

	if (blocked) {
		WRITE_ONCE(t->state, TASK_RUNNING);
		queue = !t->on_rq;
		if (queue) {
			t->on_rq = true;
			WRITE_ONCE(t->cpu, select_cpu(t));
		} else if (how == ARRIVE_FIRST && is_queued(t)) {
			move_to_front(rq, t); /* preempted on its way to sleep */
		}
	}
	unlock_task_rq(rq, flags);
	if (queue)
		enqueue_on_its_cpu(t, how);
	return blocked;
}

bool wake_up_task(struct task *t)
{
	return wake_up(t, ARRIVE_NOW);
}

bool wake_up_first(struct task *t)
{
	return wake_up(t, ARRIVE_FIRST);
}

void wake_up_new_task(struct task *t)
{
	unsigned best = MAX_CPUS, least = ~0u;
	bool waits;

	for_each_online_cpu(cpu) {
		unsigned load = READ_ONCE(rq_of(cpu)->nr_queued) + !cpumask_test(&idle_mask, cpu);

		if (cpumask_test(&t->cpus_allowed, cpu) && load < least) {
			best = cpu;
			least = load;
		}
	}
	BUG_ON(best == MAX_CPUS);
	t->cpu = best;
	t->on_rq = true;
	t->state = TASK_RUNNING;
	/*
	 * On this CPU the parent goes on: it has a tick, and the child's pages are not its own yet.
	 */
	waits = best == smp_processor_id() && sched_tuning.quantum_us;
	enqueue_on_its_cpu(t, waits ? ARRIVE_LAST : ARRIVE_NOW);
}

void kick_task(struct task *t)
{
	if (READ_ONCE(t->on_cpu))
		pv_send_ipi(READ_ONCE(t->cpu), VECTOR_RESCHED);
}

/* Take a task from the longest queue, for this CPU, which has none; interrupts are off. */
static void steal_task(unsigned this_cpu)
{
	unsigned from = MAX_CPUS, most = 0;
	struct task *t, *found = NULL;
	struct rq *rq;

	for_each_online_cpu(cpu) {
		unsigned n = READ_ONCE(rq_of(cpu)->nr_queued);

		if (cpu != this_cpu && n > most) {
			from = cpu;
			most = n;
		}
	}
	if (from == MAX_CPUS)
		return;
	rq = rq_of(from);
	spin_lock(&rq->lock);
	list_for_each_entry(t, &rq->queue, rq_node) {
		if (cpumask_test(&t->cpus_allowed, this_cpu)) {
			found = t;
			break;
		}
	}
	if (found) {
		dequeue(rq, found);
		WRITE_ONCE(found->cpu, this_cpu);
		count(CNT_MIGRATIONS);
	}
	spin_unlock(&rq->lock);
	if (found)
		enqueue_remote(found);
}

/* Where @t, which gives up its CPU and stays runnable, goes next; -1: it stays. */
static int choose_migration(struct task *t, unsigned this_cpu)
{
	int to = t->migrate_to;

	t->migrate_to = -1;
	if (to < 0 && sched_tuning.migrate_permille &&
	    rng_below(this_cpu_rng(), 1000) < sched_tuning.migrate_permille)
		to = cpumask_next(&t->cpus_allowed,
				  rng_below(this_cpu_rng(), cpumask_weight(&cpu_online_mask)));
	if (to < 0 || to == (int)this_cpu || to >= MAX_CPUS || !cpumask_test(&t->cpus_allowed, to))
		return -1;
	return to;
}

/*
 * The last part of a switch, on the stack of the task switched to. @prev's registers are saved, so
 * another CPU may have it now. Not analysed: the lock was taken on the stack of another task.
 */
static void finish_switch(struct task *prev, int migrate_to) __no_thread_safety
{
	struct rq *rq = this_cpu_ptr(runqueue);
	/* Preempted between its last word and its last schedule(), it is queued and will come
	 * again. */
	bool dead = prev->state == TASK_DEAD && !prev->on_rq;

	lockdep_push(&rq->lock, LOCK_RQ, 0);
	rq->lock.owner = current;
	smp_store_release(&prev->on_cpu, false);
	if (migrate_to >= 0)
		WRITE_ONCE(prev->cpu, migrate_to);
	spin_unlock(&rq->lock);
	if (migrate_to >= 0) {
		count(CNT_MIGRATIONS);
		if (lazy_mmu_word_active(prev->lazy_mmu))
			count(CNT_SECTION_MIGRATED);
		enqueue_remote(prev);
	}
	local_irq_enable();
	if (dead)
		task_free(prev);
}

static DEFINE_PER_CPU(int, switch_migrate_to);

/* switch.asm: a new task starts here, with the run queue locked and preemption off once. */
void sched_task_start(struct task *prev)
{
	finish_switch(prev, this_cpu_read(switch_migrate_to));
	preempt_enable();
}

static void fpu_switch(struct task *prev, struct task *next)
{
	if (prev->process)
		fpu_save(&prev->fpu);
	if (next->process)
		fpu_load(&next->fpu);
}

static DEFINE_PER_CPU(u64, switched_at); /* by the TSC */

static void account_switch(struct task *prev)
{
	u64 now = rdtsc();

	prev->cputime.ticks += now - this_cpu_read(switched_at);
	this_cpu_write(switched_at, now);
}

/* The run queue's lock keeps @t where it is: no switch adds to its time meanwhile. */
struct cputime sched_cputime(struct task *t)
{
	unsigned long flags;
	struct rq *rq = lock_task_rq(t, &flags);
	struct cputime time = t->cputime;
	u64 since = per_cpu(switched_at, t->cpu), now = rdtsc();

	if (rq->curr == t && now > since)
		time.ticks += now - since;
	unlock_task_rq(rq, flags);
	return time;
}

static void switch_to(struct rq *rq, struct task *prev, struct task *next, int migrate_to)
{
	count(CNT_CONTEXT_SWITCHES);
	trace_switch(&next->head, mm_context(next->mm));
	if (prev->is_idle) {
		cpumask_clear(&idle_mask, smp_processor_id());
		arm_tick(clock_ns());
	} else if (next->is_idle) {
		timer_stop_tick();
	}
	assert_kernel_flags();
	account_switch(prev);
	rq->curr = next;
	next->on_cpu = true;
	if (prev->process)
		pv_save_user_segments(prev);
	switch_mm(next->mm);
	fpu_switch(prev, next);
	if (next->process)
		pv_load_user_segments(next);
	pv_load_sp0(next->stack + KSTACK_SIZE);
	lockdep_release(&rq->lock); /* finish_switch() takes it over, as the next task */
	this_cpu_write(current_task, next);
	this_cpu_write(switch_migrate_to, migrate_to);
	prev = switch_stacks(prev, next);
	barrier();
	finish_switch(prev, this_cpu_read(switch_migrate_to));
}

static struct task *pick_next(struct rq *rq) __must_hold(rq->lock)
{
	struct task *next;

	if (list_empty(&rq->queue))
		return rq->idle;
	next = list_first_entry(&rq->queue, struct task, rq_node);
	dequeue(rq, next);
	return next;
}

/* How a task leaves its CPU. */
enum leave {
	LEAVE_BY_STATE, /* it sleeps, if it has said so */
	LEAVE_BY_YIELD,
	LEAVE_PREEMPTED,
};

/*
 * Preemption is off once, interrupts are on; both again at the end. A task that was woken before it
 * slept goes on, unless its CPU was asked for: it may have been given a lock. Not analysed:
 * switch_to() returns on the stack of another task, and finish_switch() gives the lock back there.
 */
static void __schedule(enum leave how) __no_thread_safety
{
	struct task *prev = current, *next;
	struct rq *rq;
	int migrate_to = -1;
	bool asked;

	lazy_mmu_context_switch();
	local_irq_disable();
	rq = this_cpu_ptr(runqueue);
	if (!READ_ONCE(rq->nr_queued) && (prev->is_idle || prev->state != TASK_RUNNING))
		steal_task(smp_processor_id());
	spin_lock(&rq->lock);
	asked = how != LEAVE_BY_STATE || need_resched();
	clear_need_resched();
	note_heard(rq);
	if (prev->is_idle) {
		/* on no queue */
	} else if (how != LEAVE_BY_STATE || prev->state == TASK_RUNNING) {
		migrate_to = choose_migration(prev, smp_processor_id());
		if (migrate_to < 0)
			enqueue(rq, prev, asked ? AT_BACK : AT_FRONT);
	} else {
		prev->on_rq = false;
	}
	next = pick_next(rq);
	if (next != prev) {
		if (lazy_mmu_word_active(prev->lazy_mmu))
			count(CNT_SECTION_PREEMPTED);
		if (how == LEAVE_PREEMPTED && !prev->is_idle)
			trace(TRACE_PREEMPT, 0,
			      migrate_to < 0 ? (int)smp_processor_id() : migrate_to,
			      prev->lazy_mmu);
		switch_to(rq, prev, next, migrate_to);
		return;
	}
	spin_unlock(&rq->lock);
	local_irq_enable();
}

static void schedule_loop(enum leave how)
{
	do {
		preempt_disable();
		__schedule(how);
		preempt_enable_no_resched();
	} while (need_resched());
}

void schedule(void)
{
	ASSERT(preempt_count() == 0 && !irqs_disabled());
	schedule_loop(LEAVE_BY_STATE);
}

void sched_yield(void)
{
	lockdep_assert_none_held("sched_yield");
	schedule_loop(LEAVE_BY_YIELD);
}

void sched_yield_in_lock(void)
{
	schedule_loop(LEAVE_PREEMPTED);
}

bool sched_has_runnable(void)
{
	return READ_ONCE(rq_of(smp_processor_id())->nr_queued);
}

void preempt_schedule(void)
{
	if (preempt_count() == 0 && !irqs_disabled())
		schedule_loop(LEAVE_PREEMPTED);
}

void preempt_schedule_irq(void)
{
	do {
		preempt_disable();
		local_irq_enable();
		__schedule(LEAVE_PREEMPTED);
		local_irq_disable();
		preempt_enable_no_resched();
	} while (need_resched());
}

/* Which part of the time is user mode's: an estimate. */
static void sample_mode(bool user)
{
	current->cputime.samples++;
	current->cputime.user_samples += user;
}

void sched_tick(bool user)
{
	u64 now = clock_ns();

	count(CNT_TIMER_TICKS);
	assert_heard_at_tick();
	if (timeouts_run(now) && !current->is_idle && sched_tuning.quantum_us) {
		sample_mode(user);
		arm_tick(now);
		if (sched_has_runnable() || sched_tuning.migrate_permille)
			set_need_resched();
	}
	timer_rearm(now);
}

void sched_ipi(void)
{
	set_need_resched();
}

/* Not analysed: lock_task_rq() takes the lock. */
int sched_setaffinity(struct task *t, const cpumask_t *mask) __no_thread_safety
{
	unsigned long flags;
	bool must_move, requeue;
	cpumask_t allowed;
	struct rq *rq;
	unsigned cpu;

	for (unsigned i = 0; i < ARRAY_SIZE(allowed.bits); i++)
		allowed.bits[i] = mask->bits[i] & cpu_online_mask.bits[i];
	cpu = cpumask_next(&allowed, 0);
	if (cpu == MAX_CPUS)
		return -EINVAL;
	rq = lock_task_rq(t, &flags);
	t->cpus_allowed = allowed;
	must_move = !cpumask_test(&allowed, t->cpu);
	requeue = must_move && is_queued(t);
	WRITE_ONCE(t->migrate_to, must_move && !requeue ? (int)cpu : -1);
	if (requeue) {
		dequeue(rq, t);
		WRITE_ONCE(t->cpu, cpu);
	}
	unlock_task_rq(rq, flags);
	if (requeue)
		enqueue_remote(t);
	else if (must_move && t == current)
		sched_yield();
	else if (must_move)
		kick_task(t);
	return 0;
}

struct task *sched_alloc_idle(unsigned cpu)
{
	char name[TASK_NAME_LEN];
	struct task *t;

	snprintf(name, sizeof(name), "idle/%u", cpu);
	t = task_create(name, NULL, NULL);
	if (!t)
		panic("out of memory for the idle task of CPU %u", cpu);
	t->is_idle = true;
	t->cpu = cpu;
	t->state = TASK_RUNNING;
	t->on_cpu = true;
	rq_of(cpu)->idle = rq_of(cpu)->curr = t;
	return t;
}

void sched_init_cpu(unsigned cpu)
{
	struct rq *rq = rq_of(cpu);

	spin_lock_init(&rq->lock, LOCK_RQ);
	list_init(&rq->queue);
	timeouts_init_cpu(cpu);
}

void cpu_idle(void)
{
	unsigned cpu = smp_processor_id();

	for (;;) {
		cpumask_set(&idle_mask, cpu);
		local_irq_disable();
		if (!need_resched() && !sched_has_runnable())
			safe_halt();
		else
			local_irq_enable();
		assert_heard_after_halt();
		cpumask_clear(&idle_mask, cpu);
		schedule_loop(LEAVE_BY_STATE);
	}
}
