/*
 * Suite `stack_gap`: a VMA that grows down, and the gap that stays below it.
 *
 * Oracle: the start of the VMA and what is counted as mapped, after each touch below; Linux's rules
 * for when it may grow (mm/layout/stack.c). The growth of another thread does not end before a fault
 * that holds the VMA's lock; single-stepped, nobody sees the start change while the VMA has no
 * mark.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/sched.h"
#include "mm/layout/layout.h"
#include "mm/space/mmap.h"
#include "mm/layout/stack.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)
#define STACK 0x40000000UL /* the page that is mapped at first */
#define GAP_PAGES (STACK_GUARD_GAP / PAGE_SIZE)

static unsigned long below(unsigned long pages)
{
	return STACK - pages * PAGE_SIZE;
}

static struct mm *enter_with_stack(struct ktest *t)
{
	struct mm *mm = test_mm_enter();

	KEXPECT_EQ(t, do_mmap(STACK, PAGE_SIZE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, NULL, 0),
		   STACK);
	return mm;
}

static bool touch(unsigned long addr)
{
	return !clear_user(addr, 1);
}

/* The stack begins @pages below where it began at first, and so much is counted. */
static void expect_grown(struct ktest *t, const struct mm *mm, unsigned long pages)
{
	const struct vma *v = vma_find(&mm->vmas, STACK);

	KEXPECT_EQ(t, v->start, below(pages));
	KEXPECT_EQ(t, v->end, STACK + PAGE_SIZE);
	KEXPECT_EQ(t, mm->mapped_pages, pages + 1);
}

static void grows_to_the_access(struct ktest *t)
{
	struct mm *mm = enter_with_stack(t);

	KEXPECT(t, touch(STACK));
	expect_grown(t, mm, 0);
	KEXPECT(t, touch(STACK - 1));
	expect_grown(t, mm, 1);
	KEXPECT(t, touch(below(500) + 8));
	expect_grown(t, mm, 500);
	KEXPECT(t, touch(below(100)));
	expect_grown(t, mm, 500);
	KEXPECT_EQ(t, do_munmap(below(500), 501 * PAGE_SIZE), 0);
	KEXPECT_EQ(t, mm->mapped_pages, 0);
	test_mm_leave(mm);
}

static void only_a_stack_grows(struct ktest *t)
{
	struct mm *mm = test_mm_enter();

	KEXPECT_EQ(t, do_mmap(STACK, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0), STACK);
	KEXPECT(t, !touch(STACK - 1));
	expect_grown(t, mm, 0);
	test_mm_leave(mm);
}

/* A neighbour whose last page is @pages below the stack; whether the stack grows to touch @n. */
static void beside(struct ktest *t, unsigned long pages, unsigned long prot, unsigned long flags,
		   unsigned long n, bool grows)
{
	struct mm *mm = enter_with_stack(t);

	KEXPECT_EQ(t, do_mmap(below(pages), PAGE_SIZE, prot, ANON | MAP_FIXED | flags, NULL, 0),
		   below(pages));
	KEXPECT_EQ(t, touch(below(n)), grows);
	KEXPECT_EQ(t, vma_find(&mm->vmas, STACK)->start, grows ? below(n) : STACK);
	test_mm_leave(mm);
}

static void stops_above_its_neighbour(struct ktest *t)
{
	beside(t, GAP_PAGES + 11, RW, 0, 10, true);
	beside(t, GAP_PAGES + 11, RW, 0, 11, false);
	beside(t, GAP_PAGES + 11, PROT_READ, 0, 11, false);
	beside(t, 20, RW, 0, 1, false);
	/* What nobody can access needs no distance, and another stack keeps its own. */
	beside(t, 20, 0, 0, 19, true);
	beside(t, 20, RW, MAP_GROWSDOWN, 19, true);
}

static void stops_at_its_limits(struct ktest *t)
{
	struct mm *mm = enter_with_stack(t);

	mm->stack_limit = 64 * PAGE_SIZE;
	KEXPECT(t, !touch(below(64)));
	KEXPECT(t, touch(below(63)));
	expect_grown(t, mm, 63);
	mm->stack_limit = STACK_LIMIT_DEFAULT;
	mm->address_limit = 70 * PAGE_SIZE;
	KEXPECT(t, !touch(below(70)));
	KEXPECT(t, touch(below(69)));
	expect_grown(t, mm, 69);
	test_mm_leave(mm);
}

/* mmap with a hint and without, and mremap that moves, keep out of the gap. */
static void nothing_is_placed_in_the_gap(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	const unsigned long stack = MMAP_CEILING - PAGE_SIZE, gap = stack - STACK_GUARD_GAP;
	long at;

	KEXPECT_EQ(t, do_mmap(stack, PAGE_SIZE, RW, ANON | MAP_FIXED | MAP_GROWSDOWN, NULL, 0),
		   stack);
	KEXPECT_EQ(t, do_mmap(0, PAGE_SIZE, RW, ANON, NULL, 0), gap - PAGE_SIZE);
	KEXPECT_EQ(t, do_mmap(stack - 10 * PAGE_SIZE, PAGE_SIZE, RW, ANON, NULL, 0),
		   gap - 2 * PAGE_SIZE);
	KEXPECT_EQ(t, do_munmap(gap - 2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	KEXPECT_EQ(t, do_mmap(gap - PAGE_SIZE, PAGE_SIZE, RW, ANON, NULL, 0), gap - PAGE_SIZE);
	at = do_mmap(STACK, PAGE_SIZE, RW, ANON | MAP_FIXED, NULL, 0);
	KEXPECT_EQ(t, do_mmap(STACK + PAGE_SIZE, PAGE_SIZE, PROT_READ, ANON | MAP_FIXED, NULL, 0),
		   STACK + PAGE_SIZE);
	at = do_mremap(at, PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	KEXPECT_EQ(t, at, gap - 3 * PAGE_SIZE);
	/* Who insists gets it, as on Linux. */
	KEXPECT_EQ(t,
		   do_mmap(stack - PAGE_SIZE, PAGE_SIZE, RW, ANON | MAP_FIXED_NOREPLACE, NULL, 0),
		   stack - PAGE_SIZE);
	test_mm_leave(mm);
}

static void mprotect_from_its_start(struct ktest *t)
{
	struct mm *mm = enter_with_stack(t);

	KEXPECT(t, touch(below(9)));
	KEXPECT_EQ(t, do_mprotect(STACK, PAGE_SIZE, PROT_READ | PROT_GROWSDOWN), 0);
	KEXPECT(t, !touch(below(9)) && !touch(STACK));
	KEXPECT(t, !touch(below(10))); /* it grows, and refuses the access */
	expect_grown(t, mm, 10);
	test_mm_leave(mm);
}

/* --- growth against faults of others --- */

static struct {
	struct mm *mm;
	bool done, may_end;
} other;

static void grower(void *arg __unused)
{
	mm_use(other.mm);
	BUG_ON(!touch(below(1)));
	mm_use(NULL);
	smp_store_release(&other.done, true);
	while (!smp_load_acquire(&other.may_end))
		let_others_run();
}

static bool is_waiting(const struct task *task)
{
	while (READ_ONCE(task->state) != TASK_BLOCKED && !smp_load_acquire(&other.done)) {
		sched_yield_in_lock();
		cpu_relax();
	}
	return !other.done;
}

static void growth_waits_for_faults(struct ktest *t)
{
	const unsigned tasks = task_count();
	struct vma *v;

	other.mm = enter_with_stack(t);
	other.done = other.may_end = false;
	KEXPECT(t, touch(STACK));
	v = vma_lock_remembered(other.mm, STACK);
	KEXPECT(t, v != NULL);
	KEXPECT(t, is_waiting(kthread_run("grower", grower, NULL)));
	KEXPECT_EQ(t, READ_ONCE(v->start), STACK);
	vma_end_read(v);
	smp_store_release(&other.may_end, true);
	await_tasks(tasks);
	expect_grown(t, other.mm, 1);
	test_mm_leave(other.mm);
}

static struct {
	const struct task *by;
	const struct vma *v;
	unsigned long start;
	unsigned steps;
	bool changed, unmarked;
} watched;

static void look_at_the_start(struct pt_regs *regs __unused)
{
	const struct vma *v = watched.v;

	if (current != watched.by)
		return;
	watched.steps++;
	if (v->start == watched.start)
		return;
	watched.start = v->start;
	watched.changed = true;
	watched.unmarked |= v->mark < READ_ONCE(v->mm->lock_seq);
}

/* As the fault handler calls it. */
static void stack_grow_once(struct mm *mm)
{
	mmap_read_lock(mm);
	stack_grow(mm, below(3));
	mmap_read_unlock(mm);
}

static void the_start_changes_under_a_mark(struct ktest *t)
{
	struct mm *mm = enter_with_stack(t);

	KEXPECT(t, touch(STACK));
	watched.by = current;
	watched.v = vma_find(&mm->vmas, STACK);
	watched.start = STACK;
	watched.steps = 0;
	watched.changed = watched.unmarked = false;
	set_step_hook(look_at_the_start);
	step_begin();
	stack_grow_once(mm);
	step_end();
	set_step_hook(NULL);
	KEXPECT(t, watched.steps > 100 && watched.changed && !watched.unmarked);
	expect_grown(t, mm, 3);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"grows_to_the_access", grows_to_the_access},
	{"only_a_stack_grows", only_a_stack_grows},
	{"stops_above_its_neighbour", stops_above_its_neighbour},
	{"stops_at_its_limits", stops_at_its_limits},
	{"nothing_is_placed_in_the_gap", nothing_is_placed_in_the_gap},
	{"mprotect_from_its_start", mprotect_from_its_start},
	{"growth_waits_for_faults", growth_waits_for_faults},
	{"the_start_changes_under_a_mark", the_start_changes_under_a_mark},
};
KTEST_SUITE(stack_gap_suite, "stack_gap", "stacks grow down, and keep a gap", true, cases);
