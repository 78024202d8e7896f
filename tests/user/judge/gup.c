/*
 * gup: the kernel itself reads and keeps pages of a process whose mapping changes.
 *
 * A page is stamped, given to a pipe by vmsplice(), dropped and stamped anew: the pipe still holds
 * what it was given. Another thread reads all pages by process_vm_readv() meanwhile: what it finds
 * is zero or a stamp of that page, and never older than what was dropped before. That is the oracle.
 */
#include "tests/user/judge/linux.h"

static unsigned long region;
static u64 *oldest; /* per page: the lowest generation that may be read from now on */
static int pipes[2];
static u32 stop;

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void give_and_drop(unsigned p, u64 generation)
{
	struct iovec given = {page_at(p), sizeof(struct stamp)};
	struct stamp kept;

	stamp_write(page_at(p), page_at(p), generation);
	CHECK(syscall6(SYS_vmsplice, pipes[1], (long)&given, 1, 0, 0, 0) == sizeof(kept),
	      "vmsplice");
	CHECK(!sys_madvise(page_at(p), PAGE_SIZE, MADV_DONTNEED), "madvise");
	smp_store_release(&oldest[p], generation + 1);
	stamp_write(page_at(p), page_at(p), generation + 1);
	CHECK(syscall3(SYS_read, pipes[0], &kept, sizeof(kept)) == sizeof(kept), "read");
	CHECK(kept.address == page_at(p) && kept.generation == generation &&
		      kept.tail == generation,
	      "page %u: the pipe has {%#lx %lu %lu} instead of generation %lu", p, kept.address,
	      kept.generation, kept.tail, generation);
	stamp_check(page_at(p), page_at(p), generation + 1, 0, 0);
}

static void read_page(unsigned p)
{
	struct stamp s = {};
	struct iovec local = {(unsigned long)&s, sizeof(s)}, remote = {page_at(p), sizeof(s)};
	u64 least = smp_load_acquire(&oldest[p]);
	long ret =
		syscall6(SYS_process_vm_readv, sys_getpid(), (long)&local, 1, (long)&remote, 1, 0);

	CHECK(ret == sizeof(s), "process_vm_readv answers %ld", ret);
	CHECK(!s.generation || s.generation >= least,
	      "page %u: generation %lu, though %lu was dropped", p, s.generation, least);
	CHECK(!s.address || s.address == page_at(p), "page %u carries %#lx", p, s.address);
}

static void thread_main(unsigned i)
{
	if (i) {
		struct rng rng = thread_rng(i, 0);

		while (!smp_load_acquire(&stop))
			read_page(rng_below(&rng, work.pages));
		return;
	}
	for (u64 round = 0; round < work.rounds; round++) {
		for (unsigned p = 0; p < work.pages; p++)
			give_and_drop(p, 2 * round + 1);
		progress(round + 1);
	}
	smp_store_release(&stop, 1);
}

void program_main(void)
{
	if (syscall3(SYS_process_vm_readv, sys_getpid(), 0, 0) == -ENOSYS)
		skip("process_vm_readv");
	CHECK(!syscall3(SYS_pipe, pipes, 0, 0), "pipe");
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	oldest = (u64 *)must_map(work.pages * sizeof(*oldest), MAP_PRIVATE);
	run_threads(max(work.threads, 2u), thread_main);
}
