/*
 * The system calls of memory management: arguments as they come from user mode; mm/ does the rest.
 */
#include "kernel/lib/errno.h"
#include "kernel/process/syscall.h"
#include "mm/frame/frames_device.h"
#include "mm/frame/page.h"
#include "mm/space/mmap.h"
#include "mm/table/page_history.h"

SYSCALL_DEFINE6(mmap, unsigned long, addr, unsigned long, len, unsigned long, prot, unsigned long,
		flags, int, fd, unsigned long, offset)
{
	const struct mmap_frames *frames = NULL;

	if (offset & ~PAGE_MASK)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		if (fd != FRAMES_FD)
			return -EBADF;
		frames = frames_device();
	}
	return do_mmap(addr, len, prot, flags, frames, offset >> PAGE_SHIFT);
}

SYSCALL_DEFINE3(mprotect, unsigned long, addr, size_t, len, unsigned long, prot)
{
	return do_mprotect(addr, len, prot);
}

SYSCALL_DEFINE2(munmap, unsigned long, addr, size_t, len)
{
	return do_munmap(addr, len);
}

SYSCALL_DEFINE1(brk, unsigned long, brk)
{
	return do_brk(brk);
}

SYSCALL_DEFINE5(mremap, unsigned long, addr, unsigned long, old_len, unsigned long, new_len,
		unsigned long, flags, unsigned long, new_addr)
{
	return do_mremap(addr, old_len, new_len, flags, new_addr);
}

SYSCALL_DEFINE3(madvise, unsigned long, addr, size_t, len, int, advice)
{
	return do_madvise(addr, len, advice);
}

/* Not Linux's, which answers ENOSYS: what was done to the page at @addr, printed on the console. */
SYSCALL_DEFINE1(page_history, unsigned long, addr)
{
	page_history_print(current->mm, addr);
	return 0;
}
