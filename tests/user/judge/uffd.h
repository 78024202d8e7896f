/*
 * userfaultfd(2), as far as programs of this folder use it: linux/userfaultfd.h.
 */
#pragma once

#include "tests/user/judge/linux.h"

#define O_NONBLOCK 04000
#define O_CLOEXEC 02000000
#define UFFD_API 0xaaUL
#define UFFDIO_API 0xc018aa3fUL
#define UFFDIO_REGISTER 0xc020aa00UL
#define UFFDIO_COPY 0xc028aa03UL
#define UFFDIO_WRITEPROTECT 0xc018aa06UL
#define FEATURE_WP 1
#define REGISTER_MISSING 1
#define REGISTER_WP 2
#define EVENT_PAGEFAULT 0x12
#define FAULT_WP 2 /* in a message's flags: of a write to a protected page */

struct api {
	u64 api, features, ioctls;
};

struct registration {
	u64 start, len, mode, ioctls;
};

struct copy {
	u64 dst, src, len, mode;
	s64 copied;
};

struct protection {
	u64 start, len, mode; /* 1: protected; 0: no more, and who waits goes on */
};

struct message {
	u8 event, reserved[7];
	u64 flags, address, unused;
};

/* A userfaultfd with @features for the pages from @start on, in @mode; -1: this kernel has no such. */
static inline int uffd_open(int flags, u64 features, u64 start, u64 len, u64 mode)
{
	struct api api = {.api = UFFD_API, .features = features};
	struct registration r = {.start = start, .len = len, .mode = mode};
	int fd = syscall3(SYS_userfaultfd, O_CLOEXEC | flags, 0, 0);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &r))
		return -1;
	return fd;
}
