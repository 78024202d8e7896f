/*
 * mmap, munmap and brk: the calls that map and unmap.
 *
 * Locks: mmap_lock for writing while the layout changes. munmap gives it back to readers before it
 * touches the page tables, so that its zap races with faults of the rest of the mm. MAP_POPULATE
 * comes after it, as a reader.
 */
#include "mm/space/mmap.h"

#include "kernel/lib/errno.h"
#include "kernel/sched/task.h"
#include "mm/layout/layout.h"
#include "mm/space/mmap_flags.h"
#include "mm/space/populate.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma.h"

/* Not analysed: which lock is held at the end depends on what unmap_range_locked() answers. */
long do_munmap(unsigned long addr, unsigned long len) __no_thread_safety
{
	struct mm *mm = current->mm;
	long err;

	len = ALIGN_UP(len, PAGE_SIZE); /* 0 if it wraps, which is refused too */
	if (!user_range_ok(addr, len))
		return -EINVAL;
	mmap_write_lock(mm);
	err = unmap_range_locked(mm, addr, addr + len, UNMAP_DOWNGRADE);
	if (err)
		mmap_write_unlock(mm);
	else
		mmap_read_unlock(mm);
	return err;
}

long do_mmap(unsigned long addr, unsigned long len, unsigned long prot, unsigned long flags,
	     const struct mmap_frames *frames, unsigned long pgoff)
{
	struct mm *mm = current->mm;
	struct mapping m = {.vm_flags = prot_to_vm_flags(prot), .frames = frames, .pgoff = pgoff};
	long err;

	if (!len)
		return -EINVAL;
	if (len > USER_END)
		return -ENOMEM;
	len = ALIGN_UP(len, PAGE_SIZE);
	mmap_write_lock(mm);
	addr = mmap_place(mm, addr, len, flags);
	err = (long)addr < 0 ? (long)addr : mmap_vm_flags(flags, frames, &m.vm_flags);
	if (!err) {
		m.start = addr;
		m.end = addr + len;
		err = layout_map(mm, &m);
	}
	mmap_write_unlock(mm);
	if (err)
		return err;
	/* Nothing is ever paged out, so locked memory is that which is there. */
	if ((flags & (MAP_POPULATE | MAP_LOCKED)) && (m.vm_flags & VM_ACCESS))
		mm_populate(mm, addr, addr + len, POPULATE_MAP);
	return addr;
}

/* A page stays free between the heap and what lies above. */
static bool grow_heap(struct mm *mm, unsigned long end, unsigned long new_end)
{
	const struct mapping m = {.start = end, .end = new_end, .vm_flags = VM_READ | VM_WRITE};
	const struct vma *next = vma_find(&mm->vmas, end);

	return (!next || vma_start_gap(next) >= new_end + PAGE_SIZE) && !layout_map(mm, &m);
}

/* As on Linux brk() tells where the break is now; that is the error too. */
long do_brk(unsigned long brk)
{
	struct mm *mm = current->mm;
	unsigned long old_end, new_end;

	mmap_write_lock(mm);
	old_end = ALIGN_UP(mm->brk, PAGE_SIZE);
	new_end = ALIGN_UP(brk, PAGE_SIZE);
	if (brk >= mm->brk_start && brk < MMAP_CEILING) {
		bool ok = true;

		if (new_end > old_end)
			ok = grow_heap(mm, old_end, new_end);
		else if (new_end < old_end)
			ok = !unmap_range_locked(mm, new_end, old_end, UNMAP_EXCLUSIVE);
		if (ok)
			mm->brk = brk;
	}
	brk = mm->brk;
	mmap_write_unlock(mm);
	return brk;
}
