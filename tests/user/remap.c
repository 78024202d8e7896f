/*
 * remap: processes map parts of one device's frames at the same time, in all sizes.
 *
 * Frame i holds i in its first word, and every thread of every process has one word of its own in
 * each frame. A mapping must show the frames asked for, in order; a write through one mapping must
 * be seen through another; and no unmapping, fork or exit may free a frame (the kernel counts).
 * Skipped where there is no such device.
 */
#include "tests/user/lib/user.h"

#define WORDS_USED 1

static volatile u64 *frame_words(unsigned long map, unsigned i)
{
	return (volatile u64 *)(map + i * PAGE_SIZE);
}

static unsigned long map_frames(unsigned first, unsigned n)
{
	long addr = sys_mmap(0, n * PAGE_SIZE, PROT_RW, MAP_SHARED, FRAMES_FD, first * PAGE_SIZE);

	CHECK(addr > 0, "mapping %u frames from %u answers %ld", n, first, addr);
	return addr;
}

static void check_frames(unsigned long map, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CHECK_PAGE(map + i * PAGE_SIZE, frame_words(map, i)[0] == first + i,
			   "frame %u shows %lu", first + i, frame_words(map, i)[0]);
}

static void exchange(unsigned first, unsigned n, unsigned slot, u64 value)
{
	unsigned long a = map_frames(first, n), b = map_frames(first, n);

	check_frames(a, first, n);
	for (unsigned i = 0; i < n; i++)
		frame_words(a, i)[slot] = value + i;
	for (unsigned i = 0; i < n; i++)
		CHECK_PAGE(b + i * PAGE_SIZE, frame_words(b, i)[slot] == value + i,
			   "frame %u: a write does not arrive", first + i);
	CHECK(!sys_mprotect(b, n * PAGE_SIZE, PROT_READ), "mprotect");
	CHECK_PAGE(b, probe_write(b) == -EFAULT, "a read-only frame is writable");
	CHECK(!sys_munmap(a, n * PAGE_SIZE), "munmap");
	check_frames(b, first, n);
	CHECK(!sys_munmap(b, n * PAGE_SIZE), "munmap");
}

static void in_a_child(unsigned first, unsigned n)
{
	unsigned long map = map_frames(first, n);
	int pid = sys_fork();

	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		check_frames(map, first, n);
		sys_exit_group(0);
	}
	CHECK(wait_for(pid) == 0, "the child failed");
	check_frames(map, first, n);
	CHECK(!sys_munmap(map, n * PAGE_SIZE), "munmap");
}

static void thread_main(unsigned i)
{
	unsigned slot = 1 + WORDS_USED * (work.index * MAX_THREADS + i);

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);
		unsigned n = 1 + rng_below(&rng, FRAMES_COUNT),
			 first = rng_below(&rng, FRAMES_COUNT - n + 1);

		exchange(first, n, slot % 500, round << 16 | i);
		if (rng_below(&rng, 8) == 0)
			in_a_child(first, n);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	long addr = sys_mmap(0, PAGE_SIZE, PROT_READ, MAP_SHARED, FRAMES_FD, 0);

	if (addr == -EBADF) { /* the kernel's suite counts pages, and so notices if it has none */
		say("# remap: no device of frames here\n");
		return;
	}
	CHECK(addr > 0, "mapping a frame answers %ld", addr);
	CHECK(sys_mmap(0, 2 * PAGE_SIZE, PROT_READ, MAP_SHARED, FRAMES_FD,
		       (FRAMES_COUNT - 1) * PAGE_SIZE) == -EINVAL,
	      "more frames than there are");
	run_threads(work.threads, thread_main);
}
