/*
 * ldisc: a terminal changes its line discipline for ever.
 *
 * N_TTY keeps its state in memory of vzalloc(), and gives it back by vfree(), both at once and in
 * the caller. So one ioctl makes what the end and the birth of a thread make (vmap.c), for a small
 * part of the price: kernel page tables change in lazy sections nearly all the time, and timers on
 * the same CPU need not aim. The oracle: the discipline is the one that was set, and the page
 * beside holds its stamp.
 */
#include "tests/user/judge/linux.h"

#define TIOCSETD 0x5423
#define TIOCGETD 0x5424
#define N_TTY 0
#define N_NULL 27
#define CHANGES 50 /* of a round */

static void set(int fd, int discipline)
{
	int now = -1;
	long ret = syscall3(SYS_ioctl, fd, TIOCSETD, &discipline);

	CHECK(!ret, "TIOCSETD %d answers %ld", discipline, ret);
	ret = syscall3(SYS_ioctl, fd, TIOCGETD, &now);
	CHECK(!ret && now == discipline, "TIOCGETD answers %ld, and %d instead of %d", ret, now,
	      discipline);
}

void program_main(void)
{
	unsigned long page = must_map(PAGE_SIZE, MAP_PRIVATE);
	int fd = syscall3(SYS_open, "/dev/ptmx", O_RDWR, 0), null = N_NULL;

	if (fd < 0 || ioctl(fd, TIOCSETD, &null))
		skip("pseudo terminals, or no null discipline for them");
	for (u64 round = 0; round < work.rounds; round++) {
		stamp_write(page, page, round + 1);
		for (unsigned i = 0; i < CHANGES; i++)
			set(fd, i % 2 ? N_NULL : N_TTY);
		stamp_check(page, page, round + 1, sys_getpid(), 0);
		progress(round + 1);
	}
}
