/*
 * Suite `alloc`: the page-frame allocator, the object caches and the kernel stacks.
 *
 * Oracle: frames that are out are distinct and keep what is written to them; the counts of frames
 * and objects in use return to what they were; when memory is exhausted the answer is NULL, no CPU
 * has more than it may keep back, and everything can be given back; a use after free is found by the poison, which a case writes
 * through on purpose.
 */
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "kernel/sched/sched.h"
#include "kernel/sched/task.h"
#include "mm/frame/page.h"
#include "mm/frame/slab.h"
#include "mm/space/audit.h"
#include "mm/table/kstack.h"
#include "tests/ktest.h"

#define NR_FRAMES 300

static void frames_are_distinct(struct ktest *t)
{
	static struct page *page[NR_FRAMES];
	s64 before = page_kind_count(PAGE_KERNEL), free = page_kind_count(PAGE_FREE);

	for (unsigned i = 0; i < NR_FRAMES; i++) {
		page[i] = alloc_page(PAGE_KERNEL);
		if (!page[i]) {
			KEXPECT(t, page[i]);
			return;
		}
		*(u64 *)page_to_virt(page[i]) = i;
	}
	KEXPECT_EQ(t, page_kind_count(PAGE_KERNEL), before + NR_FRAMES);
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		KEXPECT_EQ(t, *(u64 *)page_to_virt(page[i]), i);
		free_page(page[i]);
	}
	KEXPECT_EQ(t, page_kind_count(PAGE_KERNEL), before);
	KEXPECT_EQ(t, page_kind_count(PAGE_FREE), free);
}

static void zeroed_frames_are_zero(struct ktest *t)
{
	for (unsigned n = 0; n < 100; n++) {
		struct page *page = alloc_page_zeroed(PAGE_KERNEL);
		const u64 *p = page_to_virt(page);
		u64 sum = 0;

		for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
			sum |= p[i];
		KEXPECT_EQ(t, sum, 0);
		memset(page_to_virt(page), 0xff, PAGE_SIZE);
		free_page(page);
	}
}

struct chain {
	struct page *first; /* by the first word of each */
	s64 length;
};

static struct chain take_all(void)
{
	struct chain c = {NULL, 0};
	struct page *page;

	for (; (page = alloc_page(PAGE_KERNEL)); c.length++) {
		*(struct page **)page_to_virt(page) = c.first;
		c.first = page;
	}
	return c;
}

/* Down to @left frames. */
static void give_back(struct chain *c, s64 left)
{
	for (; c->length > left; c->length--) {
		struct page *page = c->first;

		c->first = *(struct page **)page_to_virt(page);
		free_page(page);
	}
}

/* But for what other CPUs keep, at most so many frames each, all can be had, on whatever list. */
#define KEPT_BY_A_CPU (64 + 128)

static void exhaustion_is_null(struct ktest *t)
{
	s64 free = page_kind_count(PAGE_FREE);
	struct chain all = take_all();

	KEXPECT(t, all.length > free / 2);
	KEXPECT(t, free - all.length <= KEPT_BY_A_CPU * cpumask_weight(&cpu_online_mask));
	give_back(&all, 0);
	KEXPECT_EQ(t, page_kind_count(PAGE_FREE), free);
}

/* --- CPUs that take from each other's lists --- */

#define ROUNDS 20
#define EACH 100

static atomic_t wrong;

static void stay_on(unsigned cpu)
{
	cpumask_t there = {0};

	cpumask_set(&there, cpu);
	BUG_ON(sched_setaffinity(current, &there));
}

/* Frames that carry who took them keep it until they are given back. */
static void take_and_look(unsigned long id)
{
	struct page *first = NULL, *page;

	for (unsigned i = 0; i < EACH && (page = alloc_page(PAGE_KERNEL)); i++) {
		u64 *word = page_to_virt(page);

		word[0] = (u64)first;
		word[1] = id;
		first = page;
	}
	if (!first)
		atomic_inc(&wrong);
	let_others_run();
	while (first) {
		u64 *word = page_to_virt(first);

		page = first;
		first = (struct page *)word[0];
		if (word[1] != id)
			atomic_inc(&wrong);
		free_page(page);
	}
}

static void taker(void *arg)
{
	unsigned long cpu = (unsigned long)arg;

	stay_on(cpu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		take_and_look(cpu);
		page_cache_give_back();
	}
}

/*
 * All is taken but so much that each CPU finds some whatever the others have; and what is free was
 * given back by one of them.
 */
static void one_list_serves_all(struct ktest *t)
{
	const unsigned cpus = cpumask_weight(&cpu_online_mask), tasks = task_count();
	const s64 free = page_kind_count(PAGE_FREE), kernel = page_kind_count(PAGE_KERNEL);
	struct chain all;

	stay_on(0);
	all = take_all();
	give_back(&all, all.length - cpus * (EACH + KEPT_BY_A_CPU));
	page_cache_give_back();
	atomic_set(&wrong, 0);
	for_each_online_cpu(cpu)
		kthread_run("taker", taker, (void *)(unsigned long)cpu);
	await_tasks(tasks);
	KEXPECT_EQ(t, atomic_read(&wrong), 0);
	give_back(&all, 0);
	BUG_ON(sched_setaffinity(current, &cpu_online_mask));
	KEXPECT_EQ(t, page_kind_count(PAGE_KERNEL), kernel);
	KEXPECT(t, page_kind_count(PAGE_FREE) <= free);
	KEXPECT_EQ(t, audit_all(), 0);
}

static void injected_failures(struct ktest *t)
{
	struct page *page;

	alloc_page_fail_after(3);
	for (unsigned i = 0; i < 2; i++) {
		page = alloc_page(PAGE_KERNEL);
		KEXPECT(t, page);
		free_page(page);
	}
	KEXPECT(t, !alloc_page(PAGE_KERNEL));
	KEXPECT(t, !alloc_page(PAGE_KERNEL));
	alloc_page_fail_after(0);
	page = alloc_page(PAGE_KERNEL);
	KEXPECT(t, page);
	free_page(page);
}

struct object {
	u64 value[10]; /* all of it: caches round up to 16 bytes */
};
static KMEM_CACHE(object_cache, struct object);

static void slab_objects(struct ktest *t)
{
	static struct object *obj[NR_FRAMES];
	s64 before = kmem_objects(), slabs = page_kind_count(PAGE_SLAB);

	for (unsigned i = 0; i < NR_FRAMES; i++) {
		obj[i] = kmem_cache_zalloc(&object_cache);
		for (unsigned w = 0; w < ARRAY_SIZE(obj[i]->value); w++) {
			KEXPECT_EQ(t, obj[i]->value[w], 0);
			obj[i]->value[w] = i;
		}
	}
	KEXPECT_EQ(t, kmem_objects(), before + NR_FRAMES);
	for (unsigned i = 0; i < NR_FRAMES; i++) {
		KEXPECT_EQ(t, obj[i]->value[0], i);
		KEXPECT_EQ(t, obj[i]->value[ARRAY_SIZE(obj[i]->value) - 1], i);
		kmem_cache_free(&object_cache, obj[i]);
	}
	KEXPECT_EQ(t, kmem_objects(), before);
	KEXPECT_EQ(t, page_kind_count(PAGE_SLAB), slabs);
}

static void kernel_stacks(struct ktest *t)
{
	unsigned long a = kstack_alloc(), b = kstack_alloc();

	KEXPECT(t, a && b && a != b);
	memset((void *)a, 1, KSTACK_SIZE);
	memset((void *)b, 2, KSTACK_SIZE);
	KEXPECT_EQ(t, *(u8 *)(a + KSTACK_SIZE - 1), 1);
	KEXPECT(t, kstack_is_guard(a - 1) && !kstack_is_guard(a));
	kstack_free(a);
	KEXPECT_EQ(t, kstack_alloc(), a);
	kstack_free(a);
	kstack_free(b);
}

/* The frames of a stack had other contents before, by poison or by what is written here. */
static void new_stacks_are_zero(struct ktest *t)
{
	static struct page *page[NR_FRAMES];
	unsigned long stack;
	unsigned n = 0;

	kstack_give_back();
	for (unsigned i = 0; i < NR_FRAMES && (page[i] = alloc_page(PAGE_KERNEL)); i++)
		memset(page_to_virt(page[i]), 0xa5, PAGE_SIZE);
	for (unsigned i = 0; i < NR_FRAMES && page[i]; i++)
		free_page(page[i]);
	stack = kstack_alloc();
	KEXPECT(t, stack);
	for (unsigned i = 0; stack && i < KSTACK_SIZE / 8; i++)
		n += ((u64 *)stack)[i] != 0;
	KEXPECT_EQ(t, n, 0);
	if (stack)
		kstack_free(stack);
}

static const struct ktest_case cases[] = {
	{"frames_are_distinct", frames_are_distinct},
	{"zeroed_frames_are_zero", zeroed_frames_are_zero},
	{"exhaustion_is_null", exhaustion_is_null},
	{"one_list_serves_all", one_list_serves_all},
	{"injected_failures", injected_failures},
	{"slab_objects", slab_objects},
	{"kernel_stacks", kernel_stacks},
	{"new_stacks_are_zero", new_stacks_are_zero},
};
KTEST_SUITE(alloc_suite, "alloc", "page frames, object caches, kernel stacks", true, cases);
