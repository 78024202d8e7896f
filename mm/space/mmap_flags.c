/*
 * What the flags of mmap ask for: which of them Pteron has, in Linux's order of looking at them
 * (mm/mmap.c, do_mmap and ksys_mmap_pgoff). No locks.
 */
#include "mm/space/mmap_flags.h"

#include "kernel/debug/unsupported.h"
#include "kernel/lib/errno.h"
#include "mm/space/mmap.h"

#define HUGE_SHIFT 26 /* the logarithm of the page size that MAP_HUGETLB asks for */
#define HUGE_MASK 0x3f
#define HUGE_2MB 21
#define HUGE_1GB 30
/* Linux's LEGACY_MAP_MASK: MAP_SHARED_VALIDATE takes nothing else. DENYWRITE, EXECUTABLE,
 * NORESERVE, NONBLOCK and STACK have no effect, and the sizes are of MAP_HUGETLB. */
#define LEGACY_FLAGS                                                                               \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_GROWSDOWN |        \
	 MAP_LOCKED | MAP_POPULATE | MAP_HUGETLB | 0x800 | 0x1000 | 0x4000 | 0x10000 | 0x20000 |   \
	 0x80 | HUGE_2MB << HUGE_SHIFT | HUGE_1GB << HUGE_SHIFT)

/* There are no huge pages: -ENOMEM, as on a Linux that has reserved none. */
static int refuse_huge(unsigned long flags)
{
	unsigned log = flags >> HUGE_SHIFT & HUGE_MASK;

	if (!(flags & MAP_ANONYMOUS) || (log && log != HUGE_2MB && log != HUGE_1GB))
		return -EINVAL;
	return unsupported(ENOMEM, "mmap: MAP_HUGETLB: there are no huge pages");
}

static int device_flags(unsigned long flags, unsigned long *vm_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (flags & ~(unsigned long)(LEGACY_FLAGS | MAP_FIXED_NOREPLACE))
			return -EOPNOTSUPP;
		break;
	case MAP_SHARED:
		break;
	case MAP_PRIVATE:
		return unsupported(EINVAL, "mmap: MAP_PRIVATE of the device of frames");
	default:
		return -EINVAL;
	}
	*vm_flags |= VM_SHARED;
	return flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static int anonymous_flags(unsigned long flags, unsigned long *vm_flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
		*vm_flags |= VM_SHARED;
		return flags & MAP_GROWSDOWN ? -EINVAL : 0;
	case MAP_PRIVATE:
		if (flags & MAP_GROWSDOWN)
			*vm_flags |= VM_GROWSDOWN;
		return 0;
	case MAP_DROPPABLE:
		return unsupported(EINVAL, "mmap: MAP_DROPPABLE");
	default:
		return -EINVAL;
	}
}

int mmap_vm_flags(unsigned long flags, bool device, unsigned long *vm_flags)
{
	if (flags & MAP_HUGETLB)
		return refuse_huge(flags);
	return device ? device_flags(flags, vm_flags) : anonymous_flags(flags, vm_flags);
}
