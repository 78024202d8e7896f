/*
 * The layout of an address space: which VMAs it has. The calls (mm/space) decide what is asked for
 * and take the locks; what follows from it for VMAs and entries is done here and below, in one call
 * of this file where possible. mmap_lock of @mm is held for writing, unless a function says more.
 */
#pragma once

#include "mm/frame/frames_device.h"
#include "mm/mm.h"

/* Where mmap and mremap look for a place. */
#define MMAP_CEILING 0x00007f0000000000UL
#define MMAP_FLOOR 0x10000UL
/* The same for MAP_32BIT, as on Linux: addresses of 31 bits. */
#define MMAP_32BIT_FLOOR 0x40000000UL
#define MMAP_32BIT_CEILING 0x80000000UL

/* The VMAs that an mm may have: the default of Linux's vm.max_map_count, and off by one where it
 * is. */
#define MAX_MAP_COUNT 65530u

/* @v, which overlaps no other, belongs to the layout from now on. */
void mm_insert_vma(struct mm *mm, struct vma *v);
/*
 * Let VMA borders fall on @start and @end; *@first is what vma_find() gives for @start then.
 * -ENOMEM: nothing observable has changed.
 */
int split_around(struct mm *mm, unsigned long start, unsigned long end, struct vma **first);
/* Join VMAs in and next to [start, end] that continue each other. */
void merge_around(struct mm *mm, unsigned long start, unsigned long end);
enum unmap_lock {
	UNMAP_EXCLUSIVE, /* mmap_lock stays held for writing */
	UNMAP_DOWNGRADE, /* it is held for reading on return, if there is no error */
};
/* Unmap whatever lies in [start, end). -ENOMEM: nothing has changed. */
int unmap_range_locked(struct mm *mm, unsigned long start, unsigned long end, enum unmap_lock lock);
/* For the tear-down of an mm that nobody else has. No lock is needed. */
void unmap_everything(struct mm *mm);
/* What mmap and brk map. @frames: from @pgoff on; NULL for anonymous memory. */
struct mapping {
	unsigned long start, end;
	unsigned long vm_flags; /* VM_SHARED without frames: a new object */
	const struct mmap_frames *frames;
	unsigned long pgoff;
};
/*
 * Map @m in the place of what is there. -ENOMEM, or -EINVAL where the frames end; then what was
 * there may be unmapped.
 */
int layout_map(struct mm *mm, const struct mapping *m);

/* What becomes of the flags of VMAs. */
struct flag_change {
	unsigned long clear, set;
	unsigned long refused; /* a VMA that has one of these is an error */
	unsigned long changed; /* on return: what some VMA of the range got or lost */
};
/*
 * Change the flags of [start, end), where it is mapped. -ENOMEM: nothing has changed; -EINVAL: what
 * lies before the VMA that is refused has.
 */
int layout_change_flags(struct mm *mm, unsigned long start, unsigned long end,
			struct flag_change *c);
/*
 * fork: give @child, which is empty, the VMAs of @mm and what they map. An error: @child may have
 * a part of it. mmap_lock of both is held.
 */
int layout_copy(struct mm *child, struct mm *mm);

/*
 * Where @len bytes, not 0 and at most USER_END, can be mapped: at @addr with MAP_FIXED or
 * MAP_FIXED_NOREPLACE in MAP_* @flags, else there if it is free. Or -EINVAL, -ENOMEM, -EPERM,
 * -EEXIST.
 */
long mmap_place(struct mm *mm, unsigned long addr, unsigned long len, unsigned long flags);
/* True if RLIMIT_AS lets @len bytes more be mapped. */
bool mm_may_grow(const struct mm *mm, unsigned long len);

/* What mremap asks for; @old_len 0: map shared memory once more. */
struct remap {
	unsigned long old, old_len, new_len, flags, new;
};
/*
 * Move [old, old + old_len), which lies in one VMA, to [new, new + new_len), which is free; with
 * MREMAP_DONTUNMAP in @r->flags that VMA stays, empty. The new address, or -ENOMEM.
 */
long layout_move(struct mm *mm, const struct remap *r);
/*
 * Let @v, which ends at old + old_len, end at old + new_len, if nothing lies in between. False: it
 * cannot.
 */
bool layout_grow(struct mm *mm, struct vma *v, const struct remap *r);
