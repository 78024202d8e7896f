/*
 * Kernel stacks. Slots, once mapped, stay mapped and are used again, so that no kernel translation
 * ever changes and no CPU needs a shootdown for it.
 *
 * Lock: slots_lock.
 */
#include "mm/kstack.h"

#include "kernel/layout.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/task.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "mm/tables.h"

#define SLOT_SIZE (2 * KSTACK_SIZE) /* the lower half is the guard */
#define MAX_KSTACKS 4096

static DEFINE_SPINLOCK(slots_lock, LOCK_KSTACK);
static u16 free_slots[MAX_KSTACKS] __guarded_by(slots_lock);
static unsigned nr_free __guarded_by(slots_lock), nr_used __guarded_by(slots_lock);
static bool mapped[MAX_KSTACKS]; /* each its slot's owner's */

static unsigned long slot_stack(unsigned slot)
{
	return KSTACK_AREA + slot * SLOT_SIZE + KSTACK_SIZE;
}

/* Page tables that a failure leaves behind are found again by the next attempt at this slot. */
static bool map_slot(unsigned slot)
{
	struct page *pages[KSTACK_SIZE / PAGE_SIZE];
	unsigned long va = slot_stack(slot);

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_page(PAGE_KSTACK);
		if (!pages[i] || !kernel_map_prepare(va + i * PAGE_SIZE)) {
			for (unsigned j = 0; j <= i; j++)
				if (pages[j])
					free_page(pages[j]);
			return false;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		kernel_map(va + i * PAGE_SIZE, page_to_pfn(pages[i]), (pgprot_t){_PAGE_KERNEL});
	mapped[slot] = true;
	return true;
}

unsigned long kstack_alloc(void)
{
	unsigned slot = MAX_KSTACKS;

	spin_lock(&slots_lock);
	if (nr_free)
		slot = free_slots[--nr_free];
	else if (nr_used < MAX_KSTACKS)
		slot = nr_used++;
	spin_unlock(&slots_lock);
	if (slot == MAX_KSTACKS)
		return 0;
	if (!mapped[slot] && !map_slot(slot)) {
		kstack_free(slot_stack(slot));
		return 0;
	}
	return slot_stack(slot);
}

void kstack_free(unsigned long stack)
{
	unsigned slot = (stack - KSTACK_AREA) / SLOT_SIZE;

	BUG_ON(stack != slot_stack(slot));
	spin_lock(&slots_lock);
	free_slots[nr_free++] = slot;
	spin_unlock(&slots_lock);
}

bool kstack_is_guard(unsigned long addr)
{
	return addr >= KSTACK_AREA && addr < KSTACK_AREA + MAX_KSTACKS * SLOT_SIZE &&
	       (addr - KSTACK_AREA) % SLOT_SIZE < KSTACK_SIZE;
}
