/*
 * The system calls on descriptors. There are the console (0 to 2) and the device of frames
 * (FRAMES_FD); nothing can be opened or closed. No locks.
 */
#include "kernel/debug/printk.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/errno.h"
#include "kernel/process/syscall.h"
#include "mm/frame/frames_device.h"

#define WRITE_CHUNK 256
#define IOV_MAX 1024

static bool fd_is_open(int fd)
{
	return fd >= 0 && fd <= FRAMES_FD;
}

static bool is_console(int fd)
{
	return fd == 1 || fd == 2;
}

/*
 * Up to the first byte that cannot be read, or the end of the process: how many bytes, or why not
 * even one. The caller goes on only after all @n.
 */
static long write_bytes(unsigned long buf, size_t n)
{
	char chunk[WRITE_CHUNK];
	size_t done = 0, len, got;

	for (; done < n; done += len) {
		if (task_is_ending())
			return done ? (long)done : -EINTR;
		len = min(n - done, sizeof(chunk));
		got = copy_from_user_partial(chunk, buf + done, len);
		console_write_user(chunk, got);
		if (got < len)
			return done + got ? (long)(done + got) : -EFAULT;
	}
	return done;
}

SYSCALL_DEFINE3(write, int, fd, unsigned long, buf, size_t, n)
{
	if (!is_console(fd))
		return -EBADF;
	if (!access_ok(buf, n))
		return -EFAULT;
	return write_bytes(buf, min(n, MAX_RW_COUNT));
}

struct iovec {
	unsigned long base, len;
};

/* As Linux does, all parts are looked at before one is written: -EFAULT, -EINVAL. */
static long check_iovec(unsigned long vec, unsigned long parts)
{
	for (unsigned long i = 0; i < parts; i++) {
		struct iovec v;

		if (copy_from_user(&v, vec + i * sizeof(v), sizeof(v)))
			return -EFAULT;
		if ((long)v.len < 0)
			return -EINVAL;
		if (!access_ok(v.base, v.len))
			return -EFAULT;
	}
	return 0;
}

/* The first part that is not written to its end is the last. */
static long write_iovec(unsigned long vec, unsigned long parts)
{
	size_t total = 0;

	for (unsigned long i = 0; i < parts && total < MAX_RW_COUNT; i++) {
		struct iovec v;
		long done;

		if (copy_from_user(&v, vec + i * sizeof(v), sizeof(v)))
			return total ? (long)total : -EFAULT;
		v.len = min(v.len, MAX_RW_COUNT - total);
		done = write_bytes(v.base, v.len);
		if (done < 0)
			return total ? (long)total : done;
		total += done;
		if ((size_t)done < v.len)
			break;
	}
	return total;
}

SYSCALL_DEFINE3(writev, int, fd, unsigned long, vec, unsigned long, parts)
{
	long err;

	if (!is_console(fd))
		return -EBADF;
	if (parts > IOV_MAX)
		return -EINVAL;
	err = check_iovec(vec, parts);
	return err ? err : write_iovec(vec, parts);
}

/* Nobody types: standard input is at its end. */
SYSCALL_DEFINE3(read, int, fd, unsigned long, buf __unused, size_t, n __unused)
{
	return fd ? -EBADF : 0;
}

/* What is open is no terminal that could be asked for its size: stdio then fills whole buffers. */
SYSCALL_DEFINE2(ioctl, int, fd, unsigned int, request __unused)
{
	return fd_is_open(fd) ? -ENOTTY : -EBADF;
}
