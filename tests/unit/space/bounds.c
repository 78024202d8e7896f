/*
 * Suite `bounds`: what one process may take, and that it comes back.
 *
 * Oracle: each of very many address spaces, more than the shadow backend has frames for, finds its
 * own page when it is loaded again, and so does each of a few beside one with very many tables (the
 * shadow pool's reserve is asserted at each frame that changes hands); the stacks of a burst of
 * tasks leave no more frames than are kept, and no CPU reaches a frame through a translation of a
 * former life; the mapping beyond the limit is ENOMEM; and when all is over every frame and object
 * is back.
 */
#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"
#include "mm/frame/page.h"
#include "mm/frame/slab.h"
#include "mm/layout/layout.h"
#include "mm/space/mmap.h"
#include "mm/table/kstack.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "tests/ktest.h"
#include "tests/unit/lib/test_mm.h"

#define BASE 0x40000000UL
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define RW (PROT_READ | PROT_WRITE)
#define NR_SPACES 400
#define NR_FEW 12     /* more than the reserve of 4 CPUs, and fewer than a reclaim takes */
#define NR_TABLES 400 /* more than the shadow pool has frames for */
#define NR_STACKS 160

static s64 frames_not_kept(void)
{
	return page_kind_count(PAGE_FREE) + page_kind_count(PAGE_KSTACK) +
	       page_kind_count(PAGE_KERNEL_TABLE) + page_kind_count(PAGE_TABLE_RESERVE);
}

/* --- address spaces --- */

static struct mm *space[NR_SPACES];

static void fill_space(struct ktest *t, unsigned i)
{
	space[i] = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(BASE, PAGE_SIZE, RW, ANON, NULL, 0), BASE);
	KEXPECT_EQ(t, put_user32(BASE, i + 1), 0);
	mm_use(NULL);
}

static void check_space(struct ktest *t, unsigned i)
{
	u32 found = 0;

	mm_use(space[i]);
	KEXPECT_EQ(t, get_user32(BASE, &found), 0);
	KEXPECT_EQ(t, found, i + 1);
}

static void many_address_spaces(struct ktest *t)
{
	s64 free = frames_not_kept(), objects = kmem_objects();

	for (unsigned i = 0; i < NR_SPACES; i++)
		fill_space(t, i);
	for (unsigned n = 0; n < NR_SPACES; n++)
		check_space(t, rng_below(&t->rng, NR_SPACES));
	for (unsigned i = 0; i < NR_SPACES; i++) {
		check_space(t, i);
		test_mm_leave(space[i]);
	}
	KEXPECT_EQ(t, frames_not_kept(), free);
	KEXPECT_EQ(t, kmem_objects(), objects);
}

/* Write a page below each of NR_TABLES L2 entries of the loaded address space, or look for it. */
static void use_tables(struct ktest *t, bool write)
{
	for (unsigned i = 0; i < NR_TABLES; i++) {
		unsigned long addr = BASE + i * PMD_SIZE;
		u32 found = 0;

		if (write)
			KEXPECT_EQ(t, put_user32(addr, i + 1), 0);
		KEXPECT_EQ(t, get_user32(addr, &found), 0);
		KEXPECT_EQ(t, found, i + 1);
	}
}

/*
 * The roots of the few were taken one after the other, so that a reclaim meets all of them at once,
 * and no CPU has one loaded.
 */
static void tables_beside_idle_roots(struct ktest *t)
{
	s64 free = frames_not_kept(), objects = kmem_objects();
	struct mm *large;

	for (unsigned i = 0; i < NR_FEW; i++)
		fill_space(t, i);
	large = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(BASE, NR_TABLES * PMD_SIZE, RW, ANON, NULL, 0), BASE);
	use_tables(t, true);
	use_tables(t, false);
	test_mm_leave(large);
	for (unsigned i = 0; i < NR_FEW; i++) {
		check_space(t, i);
		test_mm_leave(space[i]);
	}
	KEXPECT_EQ(t, frames_not_kept(), free);
	KEXPECT_EQ(t, kmem_objects(), objects);
}

/* --- kernel stacks --- */

static unsigned long stack[NR_STACKS];
static unsigned first_used; /* by use_stacks() */
static u64 wrong;

static void *seen_through_direct_map(unsigned long va)
{
	pmd_t *pmd = pmd_find(&init_mm, va);

	return page_to_virt(pte_page(ptep_get(pte_offset(*pmd, va))));
}

/* On each CPU: write every stack, from the first one on, and find it where the tables say. */
static void use_stacks(void *unused __unused)
{
	unsigned cpu = smp_processor_id();

	for (unsigned i = first_used; i < NR_STACKS; i++) {
		u64 *word = (u64 *)stack[i] + cpu, *frame = seen_through_direct_map(stack[i]);

		WRITE_ONCE(*word, stack[i]);
		if (READ_ONCE(frame[cpu]) != stack[i])
			__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	}
}

static void use_stacks_everywhere(unsigned first)
{
	first_used = first;
	preempt_disable();
	use_stacks(NULL);
	smp_call_mask(&cpu_online_mask, use_stacks, NULL);
	preempt_enable();
}

static void take_stacks(struct ktest *t)
{
	for (unsigned i = 0; i < NR_STACKS; i++)
		stack[i] = kstack_alloc();
	KEXPECT(t, stack[NR_STACKS - 1]);
}

static void free_stacks(void)
{
	for (unsigned i = 0; i < NR_STACKS; i++)
		kstack_free(stack[i]);
}

static void stacks_go_back(struct ktest *t)
{
	s64 free = frames_not_kept(), used;

	for (unsigned n = 0; n < 3; n++) {
		take_stacks(t);
		use_stacks_everywhere(0);
		used = page_kind_count(PAGE_KSTACK);
		free_stacks();
		for (unsigned i = 0; i < NR_STACKS; i++)
			kstack_trim();
		KEXPECT(t, page_kind_count(PAGE_KSTACK) <=
				   used - (NR_STACKS - 80) * (s64)(KSTACK_SIZE / PAGE_SIZE));
	}
	kstack_give_back();
	KEXPECT_EQ(t, frames_not_kept(), free);
}

/* Those that were freed last are trimmed first, and given out last. */
static void trimmed_stacks_are_forgotten(struct ktest *t)
{
	const unsigned last = NR_STACKS - 16;

	wrong = 0;
	for (unsigned n = 0; n < 4; n++) {
		take_stacks(t);
		free_stacks();
		use_stacks_everywhere(last);
		kstack_trim();
		take_stacks(t);
		use_stacks_everywhere(last);
		free_stacks();
	}
	KEXPECT_EQ(t, wrong, 0);
}

/* --- mappings --- */

static void mappings_end_at_the_limit(struct ktest *t)
{
	struct mm *mm = test_mm_enter();
	unsigned long len = (MAX_MAP_COUNT + 10UL) * PAGE_SIZE, addr;
	long err = 0;

	KEXPECT_EQ(t, do_mmap(BASE, len, RW, ANON, NULL, 0), BASE);
	for (addr = BASE; !err && addr < BASE + len; addr += 2 * PAGE_SIZE)
		err = do_mprotect(addr, PAGE_SIZE, PROT_READ);
	KEXPECT_EQ(t, err, -ENOMEM);
	KEXPECT_EQ(t, mm->vmas.count, MAX_MAP_COUNT);
	KEXPECT_EQ(t, do_munmap(BASE + len - 3 * PAGE_SIZE, PAGE_SIZE), -ENOMEM);
	KEXPECT_EQ(t, do_munmap(BASE + len - PAGE_SIZE, PAGE_SIZE), 0);
	KEXPECT(t, do_mmap(0, PAGE_SIZE, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0) > 0);
	KEXPECT_EQ(t, do_mmap(0, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0), -ENOMEM);
	KEXPECT_EQ(t, do_munmap(BASE, len), 0);
	KEXPECT_EQ(t, mm->vmas.count, 1);
	test_mm_leave(mm);
}

static const struct ktest_case cases[] = {
	{"many_address_spaces", many_address_spaces},
	{"tables_beside_idle_roots", tables_beside_idle_roots},
	{"stacks_go_back", stacks_go_back},
	{"trimmed_stacks_are_forgotten", trimmed_stacks_are_forgotten},
	{"mappings_end_at_the_limit", mappings_end_at_the_limit},
};
KTEST_SUITE(bounds_suite, "bounds", "what one process may take, and that it comes back", true,
	    cases);
