/*
 * spurious: faults while the permission that they lack is being granted.
 *
 * Three ways to it. (1) One thread flips a range between read-only and writable while the others
 * write it through the kernel without pause: an answer is success or EFAULT, and success it must be
 * once the range stays writable. (2) After fork and the child's exit every thread writes the same
 * pages at once: the first makes the entry writable, the others find it done. (3) All threads read
 * and then write the same new pages. A fault that is wrongly taken for an error kills the process:
 * that is the oracle.
 */
#include "tests/user/lib/user.h"

static unsigned long region;
static struct barrier barrier;
static u32 flipping;

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void flip(u64 round)
{
	for (unsigned k = 0; k < 16; k++) {
		int prot = k & 1 ? PROT_RW : PROT_READ;
		long ret = sys_mprotect(region, work.pages * PAGE_SIZE, prot);

		CHECK(!ret, "mprotect answers %ld in round %lu", ret, round);
	}
	smp_store_release(&flipping, 0);
}

static void write_while_flipping(struct rng *rng)
{
	unsigned p = 0;
	long ret = 0;

	while (smp_load_acquire(&flipping)) {
		p = rng_below(rng, work.pages);
		ret = probe_write(page_at(p) + 64);
		CHECK(!ret || ret == -EFAULT, "a write answers %ld", ret);
	}
	ret = probe_write(page_at(p) + 64);
	CHECK_PAGE(page_at(p), !ret, "the range is writable, a write answers %ld", ret);
}

static void make_copy_on_write(void)
{
	int pid = sys_fork();

	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid)
		sys_exit_group(0);
	CHECK(wait_for(pid) == 0, "the child failed");
}

static void write_own_words(unsigned thread, u64 value)
{
	for (unsigned p = 0; p < work.pages; p++)
		((volatile u64 *)page_at(p))[STAMP_WORDS + 2 + thread] = value;
}

static void check_own_words(unsigned thread, u64 value)
{
	for (unsigned p = 0; p < work.pages; p++)
		CHECK_PAGE(page_at(p),
			   ((volatile u64 *)page_at(p))[STAMP_WORDS + 2 + thread] == value,
			   "page %u: a write of thread %u is lost", p, thread);
}

static void read_new_pages(void)
{
	for (unsigned p = 0; p < work.pages; p++)
		CHECK_PAGE(page_at(p), !((volatile u64 *)page_at(p))[0],
			   "page %u: a new page is not zero", p);
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		if (i == 0)
			WRITE_ONCE(flipping, 1);
		barrier_wait(&barrier, work.threads);
		if (i == 0)
			flip(round);
		else
			write_while_flipping(&rng);
		barrier_wait(&barrier, work.threads);
		if (i == 0)
			make_copy_on_write();
		barrier_wait(&barrier, work.threads);
		write_own_words(i, 2 * round + 1);
		barrier_wait(&barrier, work.threads);
		check_own_words(i, 2 * round + 1);
		barrier_wait(&barrier, work.threads);
		if (i == 0) {
			CHECK(!sys_madvise(region, work.pages * PAGE_SIZE, MADV_DONTNEED),
			      "madvise");
			progress(round + 1);
		}
		barrier_wait(&barrier, work.threads);
		read_new_pages();
		write_own_words(i, 2 * round + 2);
		barrier_wait(&barrier, work.threads);
		check_own_words(i, 2 * round + 2);
	}
}

void program_main(void)
{
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
