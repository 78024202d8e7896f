/*
 * The locks of VMAs; see mmap_lock.h.
 */
#include "mm/vma/mmap_lock.h"

#include "kernel/debug/panic.h"
#include "mm/frame/owed.h"
#include "mm/types/pgtable_types.h"
#include "mm/vma/vma_alloc.h"

#ifdef CONFIG_DEBUG

static bool is_unused(const struct mm *mm)
{
	return !atomic_read(&mm->users);
}

void mmap_assert_locked(const struct mm *mm)
{
	BUG_ON(!lockdep_is_held(&mm->mmap_lock) && !is_unused(mm));
}

void mmap_assert_write_locked(const struct mm *mm)
{
	bool held = lockdep_is_held(&mm->mmap_lock) && rwsem_is_write_locked(&mm->mmap_lock);

	BUG_ON(!held && !is_unused(mm));
}

void vma_assert_locked(const struct vma *v)
{
	BUG_ON(!lockdep_is_held(v) && !lockdep_is_held(&v->mm->mmap_lock));
}

#endif

static bool is_marked(const struct vma *v)
{
	u64 mark = smp_load_acquire(&v->mark); /* first: an older lock_seq would hide an end */

	return mark >= smp_load_acquire(&v->mm->lock_seq);
}

/* --- the writer's side --- */

static void wait_for_readers(struct vma *v)
{
	if (!atomic_read(&v->readers))
		return;
	count_contended(LOCK_VMA);
	trace_wait(v, LOCK_VMA);
	for (unsigned i = 0; i < spins_before_sleep && atomic_read(&v->readers); i++)
		cpu_relax();
	wait_event(&v->mm->vma_waiters, !atomic_read(&v->readers));
	trace_wait_end(v);
}

void vma_start_write(struct vma *v)
{
	struct mm *mm = v->mm;

	mmap_assert_write_locked(mm);
	if (v->mark == mm->lock_seq)
		return;
	xchg(&v->mark, mm->lock_seq);
	preempt_point();
	wait_for_readers(v);
}

void vma_detach(struct vma *v)
{
	vma_start_write(v);
	v->mark = VMA_GONE;
}

/* --- the page fault's side --- */

void vma_end_read(struct vma *v)
{
	owed_assert_nothing("a fault ends");
	lockdep_pop(v, LOCK_VMA);
	if (atomic_dec_and_test(&v->readers) && unlikely(is_marked(v)))
		wake_up_all(&v->mm->vma_waiters);
}

static struct vma **slot_of(unsigned long addr)
{
	return &current->fault_vma[(addr >> PMD_SHIFT) % FAULT_VMAS];
}

struct vma *vma_lock_remembered(struct mm *mm, unsigned long addr)
{
	struct vma *v = *slot_of(addr);

	if (unlikely(!v))
		return NULL;
	ASSERT(v->mm == mm);
	lockdep_push(v, LOCK_VMA, 0);
	atomic_inc(&v->readers);
	preempt_point();
	if (likely(!is_marked(v)) && likely(v->start <= addr && addr < v->end))
		return v;
	vma_end_read(v);
	return NULL;
}

void vma_put(struct vma *v)
{
	if (atomic_dec_and_test(&v->refs))
		vma_free_memory(v);
}

static void set_slot(struct vma **slot, struct vma *v)
{
	struct vma *old = *slot;

	*slot = v;
	if (old)
		vma_put(old);
}

void vma_remember(struct vma *v, unsigned long addr)
{
	mmap_assert_locked(v->mm);
	atomic_inc(&v->refs);
	set_slot(slot_of(addr), v);
}

void vma_forget_all(void)
{
	for (unsigned i = 0; i < FAULT_VMAS; i++)
		set_slot(&current->fault_vma[i], NULL);
}
