/*
 * What the programs of this folder use of Linux, and Pteron lacks: calls by number, and how a
 * program says that this kernel has something not.
 */
#pragma once

#include "tests/user/lib/user.h"

enum {
	SYS_read = 0,
	SYS_open = 2,
	SYS_close = 3,
	SYS_ioctl = 16,
	SYS_pread64 = 17,
	SYS_pwrite64 = 18,
	SYS_pipe = 22,
	SYS_msync = 26,
	SYS_socket = 41,
	SYS_setsockopt = 54,
	SYS_ftruncate = 77,
	SYS_mkdir = 83,
	SYS_mount = 165,
	SYS_vmsplice = 278,
	SYS_process_vm_readv = 310,
	SYS_memfd_create = 319,
	SYS_userfaultfd = 323,
};

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define SKIPPED 77 /* init.c */

/* Write @text to the file @path: how many bytes, or a negative error number. */
static inline long write_file(const char *path, const char *text)
{
	long fd = syscall3(SYS_open, path, O_WRONLY, 0), ret;

	if (fd < 0)
		return fd;
	ret = syscall3(SYS_write, fd, text, strlen(text));
	syscall3(SYS_close, fd, 0, 0);
	return ret;
}

/* Sleep for @us microseconds, less than a second. */
static inline void sleep_us(unsigned us)
{
	struct {
		s64 sec, nsec;
	} time = {0, us * 1000L};

	syscall6(SYS_clock_nanosleep, 1 /* CLOCK_MONOTONIC */, 0, (long)&time, 0, 0, 0);
}

struct iovec {
	unsigned long base;
	size_t len;
};

/* End: the kernel has no @what. */
static inline void __noreturn skip(const char *what)
{
	say("# SKIP the kernel has no %s\n", what);
	sys_exit_group(SKIPPED);
}

static inline long ioctl(int fd, unsigned long request, void *argument)
{
	return syscall3(SYS_ioctl, fd, request, argument);
}
