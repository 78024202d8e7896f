/*
 * filter: a socket is given a filter that cannot be read, again and again.
 *
 * The kernel takes memory of vmalloc() for the filter, finds that it cannot copy it, and gives the
 * memory back by vfree(), both in the call itself. That is the shortest way to a lazy section of
 * kernel tables that a program can preempt: hardly anything else happens in the call, so that a
 * timer that goes off in it meets the section's beginning or end soon.
 *
 * The oracle: each call answers EFAULT, and the page beside holds its stamp.
 */
#include "tests/user/judge/linux.h"

#define AF_UNIX 1
#define SOCK_DGRAM 2
#define SOL_SOCKET 1
#define SO_ATTACH_FILTER 26
#define CALLS 200 /* of a round */
#define MOST_INSTRUCTIONS 4096
#define NOWHERE (1UL << 63)

struct filter {
	u16 instructions;
	unsigned long address;
};

static long attach(int fd, u16 instructions)
{
	const struct filter f = {instructions, NOWHERE};

	return syscall6(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, (long)&f, sizeof(f), 0);
}

static void attach_many(int fd, struct rng *rng)
{
	for (unsigned i = 0; i < CALLS; i++) {
		u16 instructions = rng_below(rng, 64) ? 1 : 1 + rng_below(rng, MOST_INSTRUCTIONS);
		long ret = attach(fd, instructions);

		CHECK(ret == -EFAULT, "a filter that cannot be read: setsockopt answers %ld", ret);
	}
}

void program_main(void)
{
	unsigned long page = must_map(PAGE_SIZE, MAP_PRIVATE);
	int fd = syscall3(SYS_socket, AF_UNIX, SOCK_DGRAM, 0);

	if (fd < 0 || attach(fd, 1) != -EFAULT)
		skip("sockets, or no filters for them");
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		stamp_write(page, page, round + 1);
		attach_many(fd, &rng);
		stamp_check(page, page, round + 1, sys_getpid(), 0);
		progress(round + 1);
	}
}
