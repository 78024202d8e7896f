/*
 * Suite `oom_kill`: memory runs out under processes.
 *
 * Most of memory is taken first, so that little is left to run out of. Oracle: tests/user/oom.c's
 * in ring 3; each of its three hogs is ended, and nobody else, not for the fork bomb either; when
 * all have ended, every frame and object is back.
 */
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/process/process.h"
#include "kernel/sched/sched.h"
#include "mm/frame/page.h"
#include "mm/frame/slab.h"
#include "tests/ktest.h"

#define LEFT 1536 /* frames, and what fork leaves for those that run */
#define HOGS 3
#define BOMBS 1000000

static s64 frames_left(void)
{
	return page_kind_count(PAGE_FREE) + page_kind_count(PAGE_KSTACK) +
	       page_kind_count(PAGE_KERNEL_TABLE) + page_kind_count(PAGE_TABLE_RESERVE);
}

/* Frames, chained through their first word. */
static struct page *take_all_but(s64 left)
{
	struct page *chain = NULL, *page;

	while (page_kind_count(PAGE_FREE) > left && (page = alloc_page(PAGE_KERNEL))) {
		*(struct page **)page_to_virt(page) = chain;
		chain = page;
	}
	return chain;
}

static void give_back(struct page *chain)
{
	while (chain) {
		struct page *page = chain;

		chain = *(struct page **)page_to_virt(page);
		free_page(page);
	}
}

static int run_program(struct ktest *t, s64 left)
{
	char seed[24], bombs[24], pages[24];
	const char *argv[] = {"oom", seed, bombs, "1", pages, "0", NULL};
	int pid;

	snprintf(seed, sizeof(seed), "%lu", rng_next(&t->rng));
	snprintf(bombs, sizeof(bombs), "%u", BOMBS);
	snprintf(pages, sizeof(pages), "%ld", 2 * left);
	pid = process_spawn(argv);
	return pid < 0 ? pid : process_wait(pid);
}

static void policy(struct ktest *t)
{
	s64 free = frames_left(), user = page_kind_count(PAGE_USER), objects = kmem_objects();
	s64 left = (s64)max_pfn / 32 + LEFT;
	u64 killed = counter_sum(CNT_OOM_KILLS);
	unsigned tasks = task_count();
	struct page *taken = take_all_but(left);

	KEXPECT_EQ(t, run_program(t, left), 0);
	await_tasks(tasks);
	KEXPECT_EQ(t, counter_sum(CNT_OOM_KILLS), killed + HOGS);
	give_back(taken);
	KEXPECT_EQ(t, frames_left(), free);
	KEXPECT_EQ(t, page_kind_count(PAGE_USER), user);
	KEXPECT_EQ(t, kmem_objects(), objects);
}

static const struct ktest_case cases[] = {
	{"policy", policy},
};
KTEST_SUITE(oom_kill_suite, "oom_kill", "memory runs out under processes", false, cases);
