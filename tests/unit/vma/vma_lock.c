/*
 * Suite `vma_lock`: page faults that go past mmap_lock, and the changes of the layout that must
 * wait for them.
 *
 * The case stands inside a fault: it holds the lock of a VMA, as the fault handler does. Oracle: a
 * change of that VMA, by another thread, does not end before the lock is given back; a VMA that
 * changes, or is gone, is not locked again; and what a task remembers costs memory only until it
 * forgets it. How many faults needed mmap_lock says that the others did not.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/sched.h"
#include "mm/frame/slab.h"
#include "mm/range/fault.h"
#include "mm/range/whole_table.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define ADDR 0x40000000UL
#define PAGES 16
#define LEN (PAGES * PAGE_SIZE)

static void map(struct ktest *t, unsigned long addr, unsigned long len, unsigned long prot)
{
	KEXPECT_EQ(t, do_mmap(addr, len, prot, ANON | MAP_FIXED, NULL, 0), addr);
}

/* Touch the first byte of @n pages, each by a fault; the number of those that needed mmap_lock. */
static u64 touch(struct ktest *t, unsigned long addr, unsigned n)
{
	u64 before = counter_sum(CNT_MMAP_LOCK_FAULTS);
	bool neighbours = fault_neighbours_enabled;

	fault_neighbours_enabled = false;
	for (unsigned i = 0; i < n; i++)
		KEXPECT_EQ(t, clear_user(addr + i * PAGE_SIZE, 1), 0);
	fault_neighbours_enabled = neighbours;
	return counter_sum(CNT_MMAP_LOCK_FAULTS) - before;
}

static void faults_go_past_mmap_lock(struct ktest *t)
{
	struct mm *mm = test_mm_enter();

	map(t, ADDR, 2 * PMD_SIZE, PROT_READ | PROT_WRITE);
	KEXPECT_EQ(t, touch(t, ADDR, PAGES), 1);
	KEXPECT_EQ(t, touch(t, ADDR + LEN, PAGES), 0);
	/* One slot for each 2 MiB; another VMA in the same 2 MiB takes it over. */
	KEXPECT_EQ(t, touch(t, ADDR + PMD_SIZE, 2), 1);
	KEXPECT_EQ(t, touch(t, ADDR + 2 * LEN, 1), 0);
	map(t, ADDR + 3 * LEN, LEN, PROT_READ | PROT_WRITE | PROT_EXEC);
	KEXPECT_EQ(t, touch(t, ADDR + 3 * LEN, 2), 1);
	KEXPECT_EQ(t, touch(t, ADDR + 2 * LEN + PAGE_SIZE, 2), 1);
	test_mm_leave(mm);
}

/* The marks of a change end with it; of what is gone they do not. */
static void changed_and_gone(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	struct vma *v;

	map(t, ADDR, LEN, PROT_READ | PROT_WRITE);
	touch(t, ADDR, 1);
	KEXPECT_EQ(t, do_mprotect(ADDR, LEN, PROT_READ), 0);
	v = vma_lock_remembered(mm, ADDR);
	KEXPECT(t, v && v->flags == VM_READ);
	vma_end_read(v);
	KEXPECT(t, clear_user(ADDR + PAGE_SIZE, 1));

	KEXPECT_EQ(t, do_munmap(ADDR, LEN), 0);
	KEXPECT(t, !vma_lock_remembered(mm, ADDR));
	KEXPECT(t, clear_user(ADDR, 1));
	map(t, ADDR, LEN, PROT_READ | PROT_WRITE);
	KEXPECT(t, !vma_lock_remembered(mm, ADDR));
	KEXPECT_EQ(t, touch(t, ADDR, 1), 1);
	test_mm_leave(mm);
}

/* The middle of a VMA goes, and what is left of it is two. */
static void split_and_merged(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	const unsigned long middle = ADDR + LEN / 2;

	map(t, ADDR, LEN, PROT_READ | PROT_WRITE);
	touch(t, ADDR, 1);
	KEXPECT_EQ(t, do_munmap(middle, PAGE_SIZE), 0);
	KEXPECT(t, !vma_lock_remembered(mm, middle));
	KEXPECT(t, !vma_lock_remembered(mm, middle + PAGE_SIZE));
	KEXPECT_EQ(t, touch(t, middle + PAGE_SIZE, 1), 1);
	map(t, middle, PAGE_SIZE, PROT_READ | PROT_WRITE); /* one again: the lower one */
	KEXPECT(t, !vma_lock_remembered(mm, middle + PAGE_SIZE));
	KEXPECT_EQ(t, touch(t, ADDR, PAGES), 1);
	test_mm_leave(mm);
}

static void memory_is_given_back(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	s64 objects = kmem_objects();

	map(t, ADDR, LEN, PROT_READ | PROT_WRITE);
	touch(t, ADDR, 1);
	KEXPECT_EQ(t, kmem_objects(), objects + 1);
	do_munmap(ADDR, LEN);
	KEXPECT_EQ(t, kmem_objects(), objects + 1);
	vma_forget_all();
	KEXPECT_EQ(t, kmem_objects(), objects);
	test_mm_leave(mm);
}

/* What a fault changes of other VMAs' entries it changes by mmap_lock. */
static void a_push_down_takes_the_neighbours_lock(struct ktest *t)
{
	struct mm *mm, *child;

	if (!whole_tables_enabled) {
		ktest_skip(t, "tables are changed by their entries");
		return;
	}
	mm = test_mm_enter();
	map(t, ADDR, LEN, PROT_READ | PROT_WRITE);
	map(t, ADDR + LEN, LEN, PROT_READ);
	touch(t, ADDR, PAGES);
	child = mm_fork(mm);
	BUG_ON(!child);
	KEXPECT(t, !pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT_EQ(t, touch(t, ADDR, 1), 1);
	KEXPECT(t, pmd_write(*pmd_find(mm, ADDR)));
	KEXPECT_EQ(t, touch(t, ADDR, PAGES), 0);
	mm_put(child);
	test_mm_leave(mm);
}

static struct {
	const struct task *by;
	struct mm *mm;
	u64 seq; /* while it is locked */
	bool was_locked, seen, wrong;
} watched;

/* Who gets the lock next begins with marks of its own. */
static void look_at_the_marks(struct pt_regs *regs __unused)
{
	bool locked = READ_ONCE(watched.mm->mmap_lock.state) & RWSEM_WRITER;

	if (current != watched.by)
		return;
	if (watched.was_locked && !locked) {
		watched.seen = true;
		watched.wrong = READ_ONCE(watched.mm->lock_seq) == watched.seq;
	}
	watched.was_locked = locked;
}

static void unlock(struct mm *mm)
{
	mmap_write_lock(mm);
	step_begin();
	mmap_write_unlock(mm);
	step_end();
}

static void downgrade(struct mm *mm)
{
	mmap_write_lock(mm);
	step_begin();
	mmap_write_downgrade(mm);
	step_end();
	mmap_read_unlock(mm);
}

static void marks_end_before_the_lock(struct ktest *t)
{
	void (*const ways[])(struct mm *) = {unlock, downgrade};

	watched.by = current;
	watched.mm = test_mm_enter();
	for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
		watched.seq = watched.mm->lock_seq;
		watched.was_locked = watched.seen = watched.wrong = false;
		set_step_hook(look_at_the_marks);
		ways[i](watched.mm);
		set_step_hook(NULL);
		KEXPECT(t, watched.seen && !watched.wrong);
	}
	test_mm_leave(watched.mm);
}

/* --- changes that must wait --- */

static struct {
	struct mm *mm;
	void (*change)(void);
	bool done, may_end;
} other;

static void unmaps_all(void)
{
	BUG_ON(do_munmap(ADDR, LEN));
}

static void unmaps_a_part(void)
{
	BUG_ON(do_munmap(ADDR + PAGE_SIZE, PAGE_SIZE));
}

static void protects(void)
{
	BUG_ON(do_mprotect(ADDR, LEN, PROT_READ));
}

static void moves(void)
{
	BUG_ON(do_mremap(ADDR, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, ADDR + PMD_SIZE) < 0);
}

static void grows(void)
{
	BUG_ON(do_mremap(ADDR, LEN, 2 * LEN, 0, 0) != (long)ADDR);
}

static void merges(void)
{
	BUG_ON(do_mmap(ADDR + LEN, LEN, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, NULL, 0) < 0);
}

static void discards(void)
{
	BUG_ON(do_madvise(ADDR, PMD_SIZE, MADV_DONTNEED));
}

static void forks(void)
{
	struct mm *child = mm_fork(other.mm);

	BUG_ON(!child);
	mm_put(child);
}

static void changer(void *arg __unused)
{
	mm_use(other.mm);
	other.change();
	mm_use(NULL);
	smp_store_release(&other.done, true);
	while (!smp_load_acquire(&other.may_end))
		let_others_run();
}

/* Until @changer sleeps, or is through. */
static bool is_waiting(const struct task *changer)
{
	while (READ_ONCE(changer->state) != TASK_BLOCKED && !smp_load_acquire(&other.done)) {
		sched_yield_in_lock();
		cpu_relax();
	}
	return !other.done;
}

/* What the fault may rely on: the VMA's tables are linked where they were, and map the page. */
static bool is_mapped(const struct mm *mm, unsigned long addr)
{
	const pmd_t *pmd = pmd_find(mm, addr);

	return pmd && !pmd_none(*pmd) && pte_present(ptep_get(pte_offset(*pmd, addr)));
}

/* In a fault, while another thread begins @change; it may not end before the fault does. */
static void waits(struct ktest *t, void (*change)(void), unsigned long len)
{
	const unsigned tasks = task_count();
	struct vma *v;

	other.mm = test_mm_enter();
	other.change = change;
	other.done = other.may_end = false;
	map(t, ADDR, len, PROT_READ | PROT_WRITE);
	touch(t, ADDR, PAGES);
	v = vma_lock_remembered(other.mm, ADDR);
	KEXPECT(t, v && v->start == ADDR && v->end == ADDR + len);
	KEXPECT(t, is_waiting(kthread_run("changer", changer, NULL)));
	KEXPECT(t, v->start == ADDR && v->end == ADDR + len && v->flags == (VM_READ | VM_WRITE));
	KEXPECT(t, is_mapped(other.mm, ADDR));
	vma_end_read(v);
	smp_store_release(&other.may_end, true);
	await_tasks(tasks);
	KEXPECT(t, other.done);
	test_mm_leave(other.mm);
}

#define WAITS(change, len)                                                                         \
	static void change##_waits(struct ktest *t)                                                \
	{                                                                                          \
		waits(t, change, len);                                                             \
	}
WAITS(unmaps_all, LEN)
WAITS(unmaps_a_part, LEN)
WAITS(protects, LEN)
WAITS(moves, LEN)
WAITS(grows, LEN)
WAITS(merges, LEN)
WAITS(forks, LEN)

/* Entries alone are dropped as ever: beside faults, by the lock of their PTE page. */
static void discards_waits(struct ktest *t)
{
	if (whole_tables_enabled)
		waits(t, discards, PMD_SIZE);
	else
		ktest_skip(t, "tables=off drops no whole tables");
}

static const struct ktest_case cases[] = {
	{"faults_go_past_mmap_lock", faults_go_past_mmap_lock},
	{"changed_and_gone", changed_and_gone},
	{"split_and_merged", split_and_merged},
	{"memory_is_given_back", memory_is_given_back},
	{"a_push_down_takes_the_neighbours_lock", a_push_down_takes_the_neighbours_lock},
	{"marks_end_before_the_lock", marks_end_before_the_lock},
	{"unmap_waits", unmaps_all_waits},
	{"unmap_of_a_part_waits", unmaps_a_part_waits},
	{"mprotect_waits", protects_waits},
	{"mremap_waits", moves_waits},
	{"growth_waits", grows_waits},
	{"merge_waits", merges_waits},
	{"discard_waits", discards_waits},
	{"fork_waits", forks_waits},
};
KTEST_SUITE(vma_lock_suite, "vma_lock", "page faults go past mmap_lock, and changes wait for them",
	    true, cases);
