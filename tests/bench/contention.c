/*
 * Suite `contention`: how often page faults of one address space wait for a lock.
 *
 * One thread for each CPU writes pages that nothing maps yet, one fault each, all at the same time,
 * and each kind of lock says how many acquisitions had to wait. In `disjoint` each thread has 2 MiB
 * of its own in one VMA: there no fault may wait for another one, which is checked. In `shared` all
 * take turns within one PTE page. `by_mmap_lock` is `disjoint` without the locks of VMAs.
 * tests/harness/contention.py boots this with 1 to 32 CPUs and prints the table.
 */
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/uaccess.h"
#include "kernel/sched/sched.h"
#include "mm/range/fault.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define AREA 0x10000000000UL
#define ROUNDS 8
#define PAGES (PTRS_PER_TABLE - 1) /* of a table; the first one makes it */

struct layout {
	const char *name;
	bool shared;	   /* one table for all */
	bool by_mmap_lock; /* no thread remembers a VMA */
};

static const enum lock_class classes[] = {LOCK_MMAP, LOCK_VMA, LOCK_PAGE_TABLE, LOCK_PTE,
					  LOCK_PAGE_ALLOC};
#define NR_CLASSES ARRAY_SIZE(classes)

static struct {
	const struct layout *layout;
	struct mm *mm;
	unsigned threads;
	atomic_t ready, done;
	u32 turn; /* 2n + 1: round n is prepared; 2n + 2: its faults begin */
} run;

static void wait_for_turn(u32 turn)
{
	while (smp_load_acquire(&run.turn) < turn)
		let_others_run();
}

static void touch(unsigned long addr)
{
	if (run.layout->by_mmap_lock)
		vma_forget_all();
	BUG_ON(put_user32(addr, 1));
}

static void fault_in_pages(unsigned long id)
{
	unsigned long table = AREA + (run.layout->shared ? 0 : id * PMD_SIZE);
	unsigned first = run.layout->shared ? id : 0, step = run.layout->shared ? run.threads : 1;

	for (unsigned i = first; i < PAGES; i += step)
		touch(table + (i + 1) * PAGE_SIZE);
}

/* The table and what this task remembers are made before anything is counted. */
static void worker(void *arg)
{
	unsigned long id = (unsigned long)arg;

	mm_use(run.mm);
	for (u32 round = 0; round < ROUNDS; round++) {
		wait_for_turn(2 * round + 1);
		touch(AREA + (run.layout->shared ? 0 : id * PMD_SIZE));
		atomic_inc(&run.ready);
		wait_for_turn(2 * round + 2);
		fault_in_pages(id);
		atomic_inc(&run.done);
	}
	mm_use(NULL);
}

static void read_waits(u64 *waits)
{
	for (unsigned i = 0; i < NR_CLASSES; i++)
		waits[i] = contended_acquisitions(classes[i]);
}

static void await(const atomic_t *counter)
{
	while ((unsigned)atomic_read(counter) < run.threads)
		let_others_run();
}

/* One round; what its faults waited for is added to @sum. */
static void one_round(struct ktest *t, u32 round, u64 *sum, u64 *faults)
{
	u64 before[NR_CLASSES], after[NR_CLASSES], first;
	const unsigned long len = run.threads * PMD_SIZE;

	KEXPECT_EQ(t,
		   do_mmap(AREA, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   AREA);
	atomic_set(&run.ready, 0);
	atomic_set(&run.done, 0);
	smp_store_release(&run.turn, 2 * round + 1);
	await(&run.ready);
	read_waits(before);
	first = counter_sum(CNT_PAGE_FAULTS);
	smp_store_release(&run.turn, 2 * round + 2);
	await(&run.done);
	*faults += counter_sum(CNT_PAGE_FAULTS) - first;
	read_waits(after);
	for (unsigned i = 0; i < NR_CLASSES; i++)
		sum[i] += after[i] - before[i];
	KEXPECT_EQ(t, do_munmap(AREA, len), 0);
}

static void measure(struct ktest *t, const struct layout *layout)
{
	const bool neighbours = fault_neighbours_enabled;
	const unsigned tasks = task_count();
	u64 waits[NR_CLASSES] = {0}, faults = 0;

	run.layout = layout;
	run.threads = cpumask_weight(&cpu_online_mask);
	run.turn = 0;
	run.mm = test_mm_enter();
	fault_neighbours_enabled = false;
	for (unsigned long i = 0; i < run.threads; i++)
		kthread_run("contention", worker, (void *)i);
	for (u32 round = 0; round < ROUNDS; round++)
		one_round(t, round, waits, &faults);
	await_tasks(tasks);
	fault_neighbours_enabled = neighbours;
	test_mm_leave(run.mm);
	printk("# contention %s cpus=%u faults=%lu mmap_lock=%lu vma=%lu page_table=%lu pte=%lu "
	       "frames=%lu\n",
	       layout->name, run.threads, faults, waits[0], waits[1], waits[2], waits[3], waits[4]);
	KEXPECT_EQ(t, faults, ROUNDS * PAGES * (layout->shared ? 1 : run.threads));
	if (!layout->shared && !layout->by_mmap_lock)
		KEXPECT_EQ(t, waits[0] + waits[1] + waits[2] + waits[3], 0);
}

static void disjoint(struct ktest *t)
{
	measure(t, &(struct layout){.name = "disjoint"});
}

static void shared(struct ktest *t)
{
	measure(t, &(struct layout){.name = "shared", .shared = true});
}

static void by_mmap_lock(struct ktest *t)
{
	measure(t, &(struct layout){.name = "by_mmap_lock", .by_mmap_lock = true});
}

static const struct ktest_case cases[] = {
	{"disjoint", disjoint},
	{"shared", shared},
	{"by_mmap_lock", by_mmap_lock},
};
KTEST_SUITE(contention_suite, "contention", "how often faults of one mm wait for a lock", false,
	    cases);
