/*
 * The system calls on descriptors. There are the console (0 to 2) and the device of frames
 * (FRAMES_FD); nothing can be opened or closed. No locks.
 */
#include "kernel/errno.h"
#include "kernel/printk.h"
#include "kernel/syscall.h"
#include "kernel/uaccess.h"

#define WRITE_CHUNK 256
#define WRITE_MAX (1UL << 20)
#define IOV_MAX 1024

static long write_bytes(int fd, unsigned long buf, size_t n)
{
	char chunk[WRITE_CHUNK];
	size_t done = 0;

	if (fd != 1 && fd != 2)
		return -EBADF;
	n = min(n, WRITE_MAX);
	while (done < n) {
		size_t len = min(n - done, sizeof(chunk));

		if (copy_from_user(chunk, buf + done, len))
			return done ? (long)done : -EFAULT;
		console_write(chunk, len);
		done += len;
	}
	return done;
}

SYSCALL_DEFINE3(write, int, fd, unsigned long, buf, size_t, n)
{
	return write_bytes(fd, buf, n);
}

static bool fd_is_open(int fd)
{
	return fd >= 0 && fd <= FRAMES_FD;
}

SYSCALL_DEFINE3(writev, int, fd, unsigned long, vec, unsigned long, parts)
{
	long total = 0;

	if (!fd_is_open(fd))
		return -EBADF;
	if (parts > IOV_MAX)
		return -EINVAL;
	for (unsigned long i = 0; i < parts; i++) {
		unsigned long iov[2];
		long n;

		if (copy_from_user(iov, vec + i * sizeof(iov), sizeof(iov)))
			return total ? total : -EFAULT;
		n = write_bytes(fd, iov[0], iov[1]);
		if (n < 0)
			return total ? total : n;
		total += n;
	}
	return total;
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
