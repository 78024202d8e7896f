/*
 * Suite `rights`: what one call of the fault handler makes of an entry that holds a frame.
 *
 * Oracle: the entry before and after, the counters, and the D bit that the page gets; how many
 * updates and invalidations the copy of a shared page costs, and what the copy holds as soon as it
 * is mapped. Faults that race are the suites `recheck` and `fault`.
 */
#include "kernel/debug/counters.h"
#include "kernel/entry/traps.h"
#include "kernel/entry/uaccess.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/fault.h"
#include "mm/space/audit.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/step.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL
#define RW (PROT_READ | PROT_WRITE)

static struct mm *mm;

static void enter(struct ktest *t, unsigned long prot, unsigned long flags)
{
	mm = test_mm_enter();
	KEXPECT_EQ(t, do_mmap(ADDR, PAGE_SIZE, prot, flags | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   ADDR);
	KEXPECT_EQ(t, put_user32(ADDR, 1), 0);
}

static void leave(struct ktest *t)
{
	KEXPECT_EQ(t, audit_all(), 0);
	test_mm_leave(mm);
}

static pte_t entry(void)
{
	return ptep_get(pte_offset(*pmd_find(mm, ADDR), ADDR));
}

static void set_entry(pte_t pte)
{
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd_find(mm, ADDR), ADDR, &ptl);

	set_pte_at(mm, ADDR, ptep, pte);
	flush_tlb_page(mm, ADDR);
	pte_unmap_unlock(ptep, ptl);
}

/* One fault; by how much it raised the counter. */
static u64 counts(struct ktest *t, unsigned flags, enum counter c)
{
	u64 before = counter_sum(c);

	mmap_read_lock(mm);
	KEXPECT_EQ(t, handle_mm_fault(vma_find(&mm->vmas, ADDR), ADDR, flags), FAULT_OK);
	mmap_read_unlock(mm);
	return counter_sum(c) - before;
}

static pte_t without(pte_t pte, u64 bits)
{
	return (pte_t){pte.v & ~bits};
}

static void what_is_permitted_is_spurious(struct ktest *t)
{
	enter(t, RW | PROT_EXEC, MAP_PRIVATE);
	KEXPECT_EQ(t, counts(t, 0, CNT_SPURIOUS_FAULTS), 1);
	KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_SPURIOUS_FAULTS), 1);
	KEXPECT_EQ(t, counts(t, FAULT_EXEC, CNT_SPURIOUS_FAULTS), 1);
	set_entry((pte_t){entry().v | _PAGE_NX});
	KEXPECT_EQ(t, counts(t, 0, CNT_SPURIOUS_FAULTS), 1);
	KEXPECT_EQ(t, counts(t, FAULT_EXEC, CNT_SPURIOUS_FAULTS), 0);
	KEXPECT(t, pte_exec(entry()));
	leave(t);
}

/* The D bit is the writer's: a reader who gets the right to write, too, sets none. */
static void what_the_vma_grants_is_added(struct ktest *t)
{
	const struct page *page;
	pte_t clean;

	enter(t, RW, MAP_PRIVATE);
	page = pte_page(entry());
	clean = without(entry(), _PAGE_DIRTY);
	set_entry(pte_wrprotect(clean));
	KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_COW_REUSES), 1);
	KEXPECT(t, pte_write(entry()) && pte_dirty(entry()) && pte_page(entry()) == page);
	set_entry(pte_modify(clean, (pgprot_t){_PAGE_PROTNONE}));
	KEXPECT_EQ(t, counts(t, 0, CNT_COW_REUSES), 0);
	KEXPECT(t, pte_write(entry()) && !pte_dirty(entry()) && pte_page(entry()) == page);
	leave(t);
}

static void shared_memory_is_not_reused(struct ktest *t)
{
	enter(t, RW, MAP_SHARED);
	set_entry(pte_wrprotect(entry()));
	KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_COW_REUSES), 0);
	KEXPECT(t, pte_write(entry()));
	leave(t);
}

/*
 * mprotect has changed the VMA and not yet the entry, and a fault that gets one right takes another
 * from it: mprotect finds the entry as it should be then, so the fault flushes.
 */
static void what_the_vma_takes_is_flushed(struct ktest *t)
{
	struct vma *v;
	u64 flushes;

	enter(t, RW | PROT_EXEC, MAP_SHARED);
	set_entry(pte_wrprotect(entry()));
	mmap_write_lock(mm);
	v = vma_find(&mm->vmas, ADDR);
	vma_start_write(v);
	v->flags = (v->flags & ~VM_ACCESS) | VM_READ | VM_WRITE;
	mmap_write_unlock(mm);
	flushes = counter_sum(CNT_TLB_FLUSHES);
	KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_COW_REUSES), 0);
	KEXPECT(t, pte_write(entry()) && !pte_exec(entry()));
	KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES), flushes + 1);
	leave(t);
}

/* --- new entries --- */

/* Private memory at ADDR in an address space of its own, with the tables for it. */
static struct mm *make_other(struct ktest *t)
{
	struct mm *other = mm_alloc();

	BUG_ON(!other);
	mm_use(other);
	KEXPECT_EQ(t,
		   do_mmap(ADDR, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   ADDR);
	test_pte_page(other, ADDR);
	mm_use(mm);
	return other;
}

/* A hypervisor's call for one address is of what is loaded; a table may be another's. */
static void an_entry_is_of_its_address_space(struct ktest *t)
{
	struct mm *other;
	pte_t before;

	enter(t, RW, MAP_PRIVATE);
	before = entry();
	other = make_other(t);
	mmap_read_lock(other);
	KEXPECT_EQ(t, handle_mm_fault(vma_find(&other->vmas, ADDR), ADDR, 0), FAULT_OK);
	mmap_read_unlock(other);
	KEXPECT_EQ(t, entry().v, before.v);
	KEXPECT(t, pte_special(ptep_get(pte_offset(*pmd_find(other, ADDR), ADDR))));
	mm_put(other);
	leave(t);
}

/* --- copies --- */

/* The page that was copied has been written, if its entry says so. */
static void the_old_page_keeps_the_dirty_bit(struct ktest *t)
{
	for (unsigned dirty = 0; dirty < 2; dirty++) {
		struct page *old;
		struct mm *child;

		enter(t, RW, MAP_PRIVATE);
		old = pte_page(entry());
		if (!dirty)
			set_entry(without(entry(), _PAGE_DIRTY));
		child = mm_fork(mm);
		BUG_ON(!child);
		KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_COW_COPIES), 1);
		KEXPECT_EQ(t, !!(old->pg_flags & PG_DIRTY), dirty);
		mm_put(child);
		leave(t);
	}
}

/* Alone it is one update; beside other threads the old page goes before the new one comes. */
static void a_copy_costs_as_little_as_may_be(struct ktest *t)
{
	for (int users = 1; users <= 2; users++) {
		struct mm *child;
		u64 flushes, batches;

		enter(t, RW, MAP_PRIVATE);
		child = mm_fork(mm);
		BUG_ON(!child);
		if (users == 2)
			atomic_inc(&mm->users);
		flushes = counter_sum(CNT_TLB_FLUSHES);
		batches = counter_sum(CNT_BATCHES);
		KEXPECT_EQ(t, counts(t, FAULT_WRITE, CNT_PTE_UPDATES), users);
		KEXPECT_EQ(t, counter_sum(CNT_TLB_FLUSHES), flushes + 1);
		if (lazy_mmu_enabled) /* the section owes its invalidation */
			KEXPECT_EQ(t, counter_sum(CNT_BATCHES), batches + 1);
		if (users == 2)
			atomic_dec(&mm->users);
		mm_put(child);
		leave(t);
	}
}

static struct {
	const struct task *by;
	const pte_t *entry;
	pte_t old;
	bool seen, wrong;
} watched;

/* What another thread may find at this instruction. */
static void look_at_the_copy(struct pt_regs *regs __unused)
{
	pte_t now;

	if (current != watched.by || watched.seen)
		return;
	now = (pte_t){READ_ONCE(watched.entry->v)};
	if (!pte_present(now) || pte_page(now) == pte_page(watched.old))
		return;
	watched.seen = true;
	watched.wrong = *(u32 *)page_to_virt(pte_page(now)) != 1;
}

static void a_copy_is_complete_when_it_is_mapped(struct ktest *t)
{
	struct mm *child;

	enter(t, RW, MAP_PRIVATE);
	child = mm_fork(mm);
	BUG_ON(!child);
	watched.by = current;
	watched.entry = pte_offset(*pmd_find(mm, ADDR), ADDR);
	watched.old = entry();
	watched.seen = watched.wrong = false;
	set_step_hook(look_at_the_copy);
	step_begin();
	counts(t, FAULT_WRITE, CNT_COW_COPIES);
	step_end();
	set_step_hook(NULL);
	KEXPECT(t, watched.seen && !watched.wrong);
	mm_put(child);
	leave(t);
}

static const struct ktest_case cases[] = {
	{"what_is_permitted_is_spurious", what_is_permitted_is_spurious},
	{"what_the_vma_grants_is_added", what_the_vma_grants_is_added},
	{"shared_memory_is_not_reused", shared_memory_is_not_reused},
	{"what_the_vma_takes_is_flushed", what_the_vma_takes_is_flushed},
	{"an_entry_is_of_its_address_space", an_entry_is_of_its_address_space},
	{"the_old_page_keeps_the_dirty_bit", the_old_page_keeps_the_dirty_bit},
	{"a_copy_costs_as_little_as_may_be", a_copy_costs_as_little_as_may_be},
	{"a_copy_is_complete_when_it_is_mapped", a_copy_is_complete_when_it_is_mapped},
};
KTEST_SUITE(rights_suite, "rights", "what a fault makes of an entry with a frame", true, cases);
