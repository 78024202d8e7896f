/*
 * Suite `race-vma`: the lock of a VMA, and the bits that the CPU sets in entries, met at every
 * instruction.
 *
 * A fault enters and leaves a VMA while a writer marks it and waits; each side is stepped. Oracle:
 * no writer is in while a fault is, and nobody waits for ever. A page is written on another CPU
 * while its entry is cleared, or changed: whoever could write finds that the entry's D bit says so.
 *
 * Not analysed: begin_write() takes the lock that end_write() gives back.
 */
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/space/mmap.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"
#include "tests/ktest.h"
#include "tests/unit/lib/encounter.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL

static struct {
	struct mm *mm;
	struct vma *vma;
	atomic_t readers, writers; /* inside */
	bool entered;		   /* the stepped side's fault */
	bool wrote;		   /* the other side, to the page */
	pte_t before, found;	   /* the entry; what the change has taken out */
} scene;

static void enter_mm(void)
{
	mm_use(scene.mm);
	mmap_read_lock(scene.mm);
	vma_remember(scene.vma, ADDR);
	mmap_read_unlock(scene.mm);
}

static void leave_mm(void)
{
	mm_use(NULL);
}

static void prepare(void)
{
	atomic_set(&scene.readers, 0);
	atomic_set(&scene.writers, 0);
	scene.entered = scene.wrote = false;
}

/* --- the VMA's lock --- */

static void begin_read(void)
{
	scene.entered = vma_lock_remembered(scene.mm, ADDR);
	if (!scene.entered)
		return;
	atomic_inc(&scene.readers);
	BUG_ON(atomic_read(&scene.writers));
}

static void end_read(void)
{
	if (!scene.entered)
		return;
	BUG_ON(atomic_read(&scene.writers));
	atomic_dec(&scene.readers);
	vma_end_read(scene.vma);
	scene.entered = false;
}

static void read(void)
{
	begin_read();
	end_read();
}

static void enter_and_begin_read(void)
{
	enter_mm();
	begin_read();
	BUG_ON(!scene.entered);
}

static void begin_write(void) __no_thread_safety
{
	mmap_write_lock(scene.mm);
	vma_start_write(scene.vma);
	BUG_ON(atomic_inc_return(&scene.writers) != 1 || atomic_read(&scene.readers));
}

static void end_write(void) __no_thread_safety
{
	BUG_ON(atomic_dec_return(&scene.writers) || atomic_read(&scene.readers));
	mmap_write_unlock(scene.mm);
}

static void write(void)
{
	begin_write();
	end_write();
}

static void end_write_and_leave(void)
{
	if (atomic_read(&scene.writers)) /* it may never have come */
		end_write();
	leave_mm();
}

/* A writer who waits for a fault that is in, and leaves. */
static struct vma *held;

static void enter_and_hold(void)
{
	enter_mm();
	held = vma_lock_remembered(scene.mm, ADDR);
	BUG_ON(!held);
	atomic_inc(&scene.readers);
}

static void let_go(void)
{
	if (!held)
		return;
	atomic_dec(&scene.readers);
	vma_end_read(held);
	held = NULL;
}

static void expect_nobody_inside(struct ktest *t)
{
	KEXPECT_EQ(t, atomic_read(&scene.vma->readers), 0);
	KEXPECT(t, list_empty(&scene.mm->vma_waiters.waiters));
	KEXPECT(t, !rwsem_is_locked(&scene.mm->mmap_lock));
}

/* --- the bits that the CPU sets --- */

/* A clean entry that no TLB has. */
static void prepare_entry(void)
{
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd_find(scene.mm, ADDR), ADDR, &ptl);

	prepare();
	set_pte_at(scene.mm, ADDR, ptep, scene.before);
	flush_tlb_range(scene.mm, ADDR, ADDR + PAGE_SIZE);
	pte_unmap_unlock(ptep, ptl);
}

static void write_page(void)
{
	pagefault_disable();
	if (!put_user32(ADDR, 1))
		scene.wrote = true;
	pagefault_enable();
}

typedef pte_t (*clear_fn)(pte_t *ptep);

static pte_t clear_one(pte_t *ptep) __must_hold(ptl_role)
{
	return ptep_get_and_clear(scene.mm, ADDR, ptep);
}

/* As zap does; a backend may have another way for it. */
static pte_t clear_run(pte_t *ptep) __must_hold(ptl_role)
{
	pte_t old;

	get_and_clear_ptes(scene.mm, ADDR, ptep, &old, 1);
	return old;
}

/* What the section has taken out, with the bits that came until it did. Not analysed: a pointer. */
static void clear_in_section(clear_fn clear) __no_thread_safety
{
	lazy_mmu_state_t state;
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd_find(scene.mm, ADDR), ADDR, &ptl);

	state = arch_enter_lazy_mmu_mode();
	scene.found = clear(ptep);
	flush_tlb_range(scene.mm, ADDR, ADDR + PAGE_SIZE);
	arch_leave_lazy_mmu_mode(state);
	scene.found.v |= ptep_harvest(ptep).v;
	pte_unmap_unlock(ptep, ptl);
}

static void clear_entry(void)
{
	clear_in_section(clear_one);
}

static void clear_entries(void)
{
	clear_in_section(clear_run);
}

/* At once: nobody looks at the entry again. Not analysed: a pointer. */
static void clear_now(clear_fn clear) __no_thread_safety
{
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd_find(scene.mm, ADDR), ADDR, &ptl);

	scene.found = clear(ptep);
	flush_tlb_range(scene.mm, ADDR, ADDR + PAGE_SIZE);
	pte_unmap_unlock(ptep, ptl);
}

static void clear_entry_now(void)
{
	clear_now(clear_one);
}

static void clear_entries_now(void)
{
	clear_now(clear_run);
}

/* As fork and mprotect do. */
static void protect_entry(void)
{
	lazy_mmu_state_t state;
	struct spinlock *ptl;
	pte_t *ptep = pte_offset_map_lock(pmd_find(scene.mm, ADDR), ADDR, &ptl);

	state = arch_enter_lazy_mmu_mode();
	ptep_modify_prot_commit(scene.mm, ADDR, ptep, pte_wrprotect(ptep_get(ptep)));
	flush_tlb_range(scene.mm, ADDR, ADDR + PAGE_SIZE);
	arch_leave_lazy_mmu_mode(state);
	scene.found = ptep_get(ptep);
	pte_unmap_unlock(ptep, ptl);
}

static void expect_dirty_if_written(struct ktest *t)
{
	KEXPECT(t, !scene.wrote || pte_dirty(scene.found));
	KEXPECT_EQ(t, scene.found.v >> PAGE_SHIFT, scene.before.v >> PAGE_SHIFT);
}

/* --- the cases --- */

static void run(struct ktest *t, const struct encounter *e)
{
	struct spinlock *ptl;
	pte_t *ptep;

	scene.mm = test_mm_enter();
	KEXPECT_EQ(t,
		   do_mmap(ADDR, PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0),
		   ADDR);
	BUG_ON(put_user32(ADDR, 0));
	scene.vma = vma_find(&scene.mm->vmas, ADDR);
	ptep = pte_offset_map_lock(pmd_find(scene.mm, ADDR), ADDR, &ptl);
	scene.before = pte_mkclean(ptep_get(ptep));
	pte_unmap_unlock(ptep, ptl);
	encounter_run(t, e);
	prepare_entry();
	test_mm_leave(scene.mm);
}

#define CASE(id, text, ...)                                                                        \
	static void id(struct ktest *t)                                                            \
	{                                                                                          \
		static const struct encounter e = {                                                \
			.name = text,                                                              \
			.after = leave_mm,                                                         \
			__VA_ARGS__,                                                               \
		};                                                                                 \
		run(t, &e);                                                                        \
	}
CASE(fault_and_writer, "a fault, and a writer who comes", .prepare = prepare, .before = enter_mm,
     .stepped = read, .other_before = enter_mm, .other = write, .other_after = leave_mm,
     .check = expect_nobody_inside)
CASE(fault_and_change, "a fault, and a change that goes on", .prepare = prepare, .before = enter_mm,
     .stepped = read, .other_before = enter_mm, .other = begin_write,
     .other_after = end_write_and_leave, .check = expect_nobody_inside)
CASE(fault_ends, "the end of a fault, and a writer who comes", .prepare = prepare,
     .before = enter_and_begin_read, .stepped = end_read, .other_before = enter_mm, .other = write,
     .other_after = leave_mm, .check = expect_nobody_inside)
CASE(writer_and_fault, "a writer, and a fault that comes", .prepare = prepare, .before = enter_mm,
     .stepped = write, .other_before = enter_mm, .other = read, .other_after = leave_mm,
     .check = expect_nobody_inside)
CASE(clear_and_write, "an entry is cleared, and its page written", .prepare = prepare_entry,
     .before = enter_mm, .stepped = clear_entry, .other_before = enter_mm, .other = write_page,
     .other_after = leave_mm, .check = expect_dirty_if_written)
CASE(clear_now_and_write, "an entry is cleared at once, and its page written",
     .prepare = prepare_entry, .before = enter_mm, .stepped = clear_entry_now,
     .other_before = enter_mm, .other = write_page, .other_after = leave_mm,
     .check = expect_dirty_if_written)
CASE(clear_run_and_write, "a run of entries is cleared, and its page written",
     .prepare = prepare_entry, .before = enter_mm, .stepped = clear_entries,
     .other_before = enter_mm, .other = write_page, .other_after = leave_mm,
     .check = expect_dirty_if_written)
CASE(clear_run_now_and_write, "a run of entries is cleared at once, and its page written",
     .prepare = prepare_entry, .before = enter_mm, .stepped = clear_entries_now,
     .other_before = enter_mm, .other = write_page, .other_after = leave_mm,
     .check = expect_dirty_if_written)
CASE(protect_and_write, "an entry is protected, and its page written", .prepare = prepare_entry,
     .before = enter_mm, .stepped = protect_entry, .other_before = enter_mm, .other = write_page,
     .other_after = leave_mm, .check = expect_dirty_if_written)

CASE(writer_waits, "a writer waits for a fault", .prepare = prepare, .before = enter_mm,
     .stepped = write, .other_before = enter_and_hold, .other = let_go, .other_after = leave_mm,
     .check = expect_nobody_inside)

static const struct ktest_case cases[] = {
	{"fault_and_writer", fault_and_writer},
	{"fault_and_change", fault_and_change},
	{"fault_ends", fault_ends},
	{"writer_and_fault", writer_and_fault},
	{"writer_waits", writer_waits},
	{"clear_and_write", clear_and_write},
	{"clear_now_and_write", clear_now_and_write},
	{"clear_run_and_write", clear_run_and_write},
	{"clear_run_now_and_write", clear_run_now_and_write},
	{"protect_and_write", protect_and_write},
};
KTEST_SUITE(race_vma_suite, "race-vma",
	    "the lock of a VMA, and A and D bits, met at each instruction", true, cases);
