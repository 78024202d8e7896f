/*
 * files: a file in memory, mapped twice and privately, that is written, cut and grown.
 *
 * The file's pages carry stamps. Both shared mappings and pread() see one thing; a private mapping
 * keeps what it has written, whatever becomes of the file; behind the end, and where the file has
 * been cut and grown again, there are zeros. That is the oracle. The threads have files of their
 * own, and share the page tables and the CPUs.
 */
#include "tests/user/judge/linux.h"

#define MS_SYNC 4

struct file {
	int fd;
	unsigned long one, two, own; /* mappings: shared, shared, private */
};

static unsigned long map(int fd, int flags)
{
	long at = sys_mmap(0, work.pages * PAGE_SIZE, PROT_RW, flags, fd, 0);

	CHECK(at > 0, "mmap of the file answers %ld", at);
	return at;
}

static struct file make(void)
{
	struct file f = {.fd = syscall3(SYS_memfd_create, "stamps", 0, 0)};

	if (f.fd < 0)
		skip("memfd_create");
	CHECK(!syscall3(SYS_ftruncate, f.fd, work.pages * PAGE_SIZE, 0), "ftruncate");
	f.one = map(f.fd, MAP_SHARED);
	f.two = map(f.fd, MAP_SHARED);
	f.own = map(f.fd, MAP_PRIVATE);
	return f;
}

/* What one mapping writes the others and the file have. */
static void write_shared(const struct file *f, unsigned p, u64 generation)
{
	unsigned long at = f->one + p * PAGE_SIZE, other = f->two + p * PAGE_SIZE;
	struct stamp s;

	stamp_write(at, p + 1, generation);
	stamp_check(other, p + 1, generation, 0, 0);
	CHECK(syscall6(SYS_pread64, f->fd, (long)&s, sizeof(s), p * PAGE_SIZE, 0, 0) == sizeof(s) &&
		      s.generation == generation && s.address == p + 1,
	      "page %u: pread finds generation %lu, not %lu", p, s.generation, generation);
}

static void write_privately(const struct file *f, unsigned p, u64 generation)
{
	unsigned long at = f->own + p * PAGE_SIZE;

	stamp_write(at, at, generation + 1000000);
	write_shared(f, p, generation + 1);
	stamp_check(at, at, generation + 1000000, 0, 0);
	CHECK(!sys_madvise(at, PAGE_SIZE, MADV_DONTNEED), "madvise");
	stamp_check(at, p + 1, generation + 1, 0, 0); /* the file's again */
}

/* Cut at @p, and grow again. */
static void cut(const struct file *f, unsigned p)
{
	CHECK(!syscall3(SYS_ftruncate, f->fd, p * PAGE_SIZE, 0), "ftruncate");
	CHECK(!syscall3(SYS_ftruncate, f->fd, work.pages * PAGE_SIZE, 0), "ftruncate");
	for (unsigned i = p; i < work.pages; i++) {
		stamp_check_zero(f->two + i * PAGE_SIZE);
		stamp_check_zero(f->own + i * PAGE_SIZE);
	}
}

static void thread_main(unsigned i)
{
	struct file f = make();

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned k = 0; k < work.pages; k++)
			write_shared(&f, rng_below(&rng, work.pages), round + 1);
		write_privately(&f, rng_below(&rng, work.pages), round + 2);
		CHECK(!syscall3(SYS_msync, f.one, work.pages * PAGE_SIZE, MS_SYNC), "msync");
		cut(&f, rng_below(&rng, work.pages));
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	run_threads(work.threads, thread_main);
}
