/*
 * mmap_lock, and the locks of single VMAs, by which page faults go past it.
 *
 * Each task remembers the VMAs of its last faults, with a reference to each, so that their memory
 * stays. Whether such a VMA is still part of the layout, and nobody changes it, its lock tells: a
 * fault counts itself among the VMA's `readers` and then looks at its mark. Who finds none, or a
 * marked one, takes mmap_lock.
 *
 * Who changes a VMA, or changes its entries in a way that no fault may race with, holds mmap_lock
 * for writing and marks the VMA first; vma_start_write() waits for the faults that are inside. A
 * mark is the mm's lock_seq, so that the end of the write lock, which raises that, ends all marks.
 * A VMA that left the layout keeps a mark that never ends.
 *
 * A reader writes `readers` and reads `mark`, a writer the other way round, with a full barrier
 * between the two: at least one of them sees the other.
 */
#pragma once

#include "kernel/sched/task.h"
#include "mm/frame/owed.h"
#include "mm/mm.h"

#define VMA_GONE (~0UL)

#ifdef CONFIG_DEBUG
/*
 * This task holds mmap_lock, for reading at least. Or @mm has no users any more, and is taken
 * apart.
 */
void mmap_assert_locked(const struct mm *mm);
/* The same, for writing. */
void mmap_assert_write_locked(const struct mm *mm);
/* This task is in a fault that holds the lock of @v, or holds mmap_lock. */
void vma_assert_locked(const struct vma *v);
#else
static inline void mmap_assert_locked(const struct mm *mm __unused) {}
static inline void mmap_assert_write_locked(const struct mm *mm __unused) {}
static inline void vma_assert_locked(const struct vma *v __unused) {}
#endif

static inline void mmap_read_lock(struct mm *mm) __acquires_shared(&mm->mmap_lock)
{
	down_read(&mm->mmap_lock);
}

static inline void mmap_read_unlock(struct mm *mm) __releases_shared(&mm->mmap_lock)
{
	owed_assert_nothing("mmap_lock is given back");
	up_read(&mm->mmap_lock);
}

static inline void mmap_write_lock(struct mm *mm) __acquires(&mm->mmap_lock)
{
	down_write(&mm->mmap_lock);
}

/* The lock of an mm that nobody else knows yet: fork's child, inside the parent's. */
static inline void mmap_write_lock_nested(struct mm *mm) __acquires(&mm->mmap_lock)
{
	down_write_nested(&mm->mmap_lock, 1);
}

/* The layout is what it will be: faults may go into the VMAs that were marked. */
static inline void vma_end_write_all(struct mm *mm)
{
	mmap_assert_write_locked(mm);
	smp_store_release(&mm->lock_seq, mm->lock_seq + 1);
}

static inline void mmap_write_unlock(struct mm *mm) __releases(&mm->mmap_lock)
{
	owed_assert_nothing("mmap_lock is given back");
	vma_end_write_all(mm);
	up_write(&mm->mmap_lock);
}

static inline void mmap_write_downgrade(struct mm *mm) __releases(&mm->mmap_lock)
	__acquires_shared(&mm->mmap_lock)
{
	owed_assert_nothing("mmap_lock is downgraded");
	vma_end_write_all(mm);
	downgrade_write(&mm->mmap_lock);
}

/* --- the writer's side; mmap_lock is held for writing --- */

/* No fault is in @v, and none enters it until the write lock ends. May sleep. */
void vma_start_write(struct vma *v);
/* The same, for ever: @v leaves the layout. Its memory stays until vma_put(). */
void vma_detach(struct vma *v);
/* Drop a reference to the memory of @v. */
void vma_put(struct vma *v);

/* --- the page fault's side --- */

/*
 * The VMA of @addr, if this task remembers it and nobody changes it, locked: it is what it is until
 * vma_end_read(). NULL: take mmap_lock.
 */
struct vma *vma_lock_remembered(struct mm *mm, unsigned long addr);
/* The fault is over: @v may change. Wakes a writer that waits for it. */
void vma_end_read(struct vma *v);
/* Remember @v for faults near @addr. mmap_lock is held. */
void vma_remember(struct vma *v, unsigned long addr);
/* Forget them all; before the task leaves its address space. */
void vma_forget_all(void);
