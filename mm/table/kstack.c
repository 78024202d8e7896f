/*
 * Kernel stacks. A slot that is free keeps its pages for the next task, but not all slots do:
 * beyond as many as kept_max() says they go back to the page allocator, TRIM_BATCH stacks at once.
 * Their entries are cleared first, then every CPU forgets them, and only then the pages are free.
 * The page tables of the slots stay: of MAX_KSTACKS slots they are 64 pages.
 *
 * A dead task's stack is freed by whoever runs next on its CPU, maybe in the middle of a lazy
 * section, so nothing is unmapped there, but at the end of another task: kstack_trim().
 *
 * Lock: slots_lock.
 */
#include "mm/table/kstack.h"

#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/errno.h"
#include "kernel/lib/layout.h"
#include "kernel/sched/task.h"
#include "kernel/sync/spinlock.h"
#include "mm/frame/page.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

#define SLOT_SIZE (2 * KSTACK_SIZE) /* the lower half is the guard */
#define PAGES_EACH (KSTACK_SIZE / PAGE_SIZE)
#define TRIM_BATCH 16

/* Numbers of slots. */
struct slots {
	unsigned n;
	u16 slot[MAX_KSTACKS];
};

static DEFINE_SPINLOCK(slots_lock, LOCK_KSTACK);
static struct slots mapped __guarded_by(slots_lock); /* free, with their pages */
static struct slots bare __guarded_by(slots_lock);   /* free, without */
static unsigned nr_used __guarded_by(slots_lock);    /* from here on slots were never used */

/* A four-hundredth of memory at most. */
static unsigned kept_max(void)
{
	return min(max_pfn / 1024 / PAGES_EACH + TRIM_BATCH, 64UL);
}

static unsigned long slot_stack(unsigned slot)
{
	return KSTACK_AREA + slot * SLOT_SIZE + KSTACK_SIZE;
}

/*
 * Page tables that a failure leaves behind are found again by the next attempt at this slot.
 * The pages are zeroed: a process's bytes have no business on a stack, and where a boot loader's
 * code ran QEMU takes every store for self-modifying code until that code is overwritten.
 */
static int map_slot(unsigned slot)
{
	struct page *pages[PAGES_EACH];
	unsigned long va = slot_stack(slot);

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page_zeroed(PAGE_KSTACK);
		if (!pages[i] || kernel_map_prepare(va + i * PAGE_SIZE)) {
			for (unsigned j = 0; j <= i; j++)
				if (pages[j])
					free_page(pages[j]);
			return -ENOMEM;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		kernel_map(va + i * PAGE_SIZE, page_to_pfn(pages[i]), (pgprot_t){_PAGE_KERNEL});
	return 0;
}

static void push(struct slots *s, unsigned slot) __must_hold(slots_lock)
{
	s->slot[s->n++] = slot;
}

static unsigned pop(struct slots *s) __must_hold(slots_lock)
{
	return s->slot[--s->n];
}

/* A slot, and whether it has its pages; MAX_KSTACKS: all are in use. */
static unsigned take_slot(bool *has_pages)
{
	unsigned slot = MAX_KSTACKS;

	spin_lock(&slots_lock);
	*has_pages = mapped.n;
	if (mapped.n)
		slot = pop(&mapped);
	else if (bare.n)
		slot = pop(&bare);
	else if (nr_used < MAX_KSTACKS)
		slot = nr_used++;
	spin_unlock(&slots_lock);
	return slot;
}

static void give_slot(struct slots *to, unsigned slot)
{
	spin_lock(&slots_lock);
	push(to, slot);
	spin_unlock(&slots_lock);
}

unsigned long kstack_alloc(void)
{
	bool has_pages;
	unsigned slot = take_slot(&has_pages);

	if (slot == MAX_KSTACKS)
		return 0;
	if (!has_pages && map_slot(slot)) {
		give_slot(&bare, slot);
		return 0;
	}
	return slot_stack(slot);
}

void kstack_free(unsigned long stack)
{
	unsigned slot = (stack - KSTACK_AREA) / SLOT_SIZE;

	BUG_ON(stack != slot_stack(slot));
	give_slot(&mapped, slot);
}

/* --- giving pages back --- */

/* Slots on their way to `bare`, and their pages. */
struct trim {
	unsigned n;
	u16 slot[TRIM_BATCH];
	struct page *page[TRIM_BATCH * PAGES_EACH];
};

static void take_slots(struct trim *t, unsigned kept)
{
	spin_lock(&slots_lock);
	for (t->n = 0; t->n < TRIM_BATCH && mapped.n > kept; t->n++)
		t->slot[t->n] = pop(&mapped);
	spin_unlock(&slots_lock);
}

static void flush_slots(void *arg)
{
	const struct trim *t = arg;

	for (unsigned i = 0; i < t->n; i++)
		for (unsigned p = 0; p < PAGES_EACH; p++)
			pv_flush_tlb_one(slot_stack(t->slot[i]) + p * PAGE_SIZE);
}

static void unmap_slots(struct trim *t)
{
	for (unsigned i = 0; i < t->n; i++)
		for (unsigned p = 0; p < PAGES_EACH; p++)
			t->page[i * PAGES_EACH + p] =
				kernel_unmap(slot_stack(t->slot[i]) + p * PAGE_SIZE);
	preempt_disable();
	flush_slots(t);
	smp_call_mask(&cpu_online_mask, flush_slots, t);
	preempt_enable();
	for (unsigned i = 0; i < t->n * PAGES_EACH; i++)
		free_page(t->page[i]);
}

static unsigned trim_to(unsigned kept)
{
	struct trim t;

	take_slots(&t, kept);
	if (!t.n)
		return 0;
	unmap_slots(&t);
	for (unsigned i = 0; i < t.n; i++)
		give_slot(&bare, t.slot[i]);
	return t.n;
}

void kstack_trim(void)
{
	/* A peek. By a batch too many: tasks that come and go shall not map and unmap. */
	if (unlikely(READ_ONCE(mapped.n) > kept_max() + TRIM_BATCH))
		trim_to(kept_max());
}

void kstack_give_back(void)
{
	while (trim_to(0))
		;
}

bool kstack_is_guard(unsigned long addr)
{
	return addr >= KSTACK_AREA && addr < KSTACK_AREA + MAX_KSTACKS * SLOT_SIZE &&
	       (addr - KSTACK_AREA) % SLOT_SIZE < KSTACK_SIZE;
}
