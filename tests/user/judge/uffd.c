/*
 * uffd: page faults that the process serves itself.
 *
 * Thread 0 drops pages and reads them again; a userfaultfd tells thread 1 of each fault, which puts
 * a stamped page there by UFFDIO_COPY, with the generation that is due. The reader finds that stamp
 * and no other: that is the oracle.
 */
#include "tests/user/judge/linux.h"
#include "tests/user/judge/uffd.h"

static unsigned long region, source;
static u64 due; /* the generation that the next fault gets */
static int uffd;

/* Which generation the page at @address got. */
static u64 serve(unsigned long address)
{
	unsigned long page = address & ~(PAGE_SIZE - 1);
	u64 generation = smp_load_acquire(&due);
	struct copy c = {.dst = page, .src = source, .len = PAGE_SIZE};
	long ret;

	stamp_write(source, page, generation);
	ret = ioctl(uffd, UFFDIO_COPY, &c);
	CHECK(!ret && c.copied == (long)PAGE_SIZE, "UFFDIO_COPY answers %ld, copied %ld", ret,
	      c.copied);
	return generation;
}

static void server(void)
{
	struct message m;
	u64 generation;

	do {
		long ret = syscall3(SYS_read, uffd, &m, sizeof(m));

		CHECK(ret == sizeof(m) && m.event == EVENT_PAGEFAULT, "read answers %ld, event %#x",
		      ret, m.event);
		generation = serve(m.address);
	} while (generation <= work.rounds); /* the last fault is of the next */
}

/* Each page of the round once, in an order that the seed chooses. */
static void read_round(u64 round)
{
	struct rng rng = thread_rng(0, round);
	unsigned first = rng_below(&rng, work.pages);

	CHECK(!sys_madvise(region, work.pages * PAGE_SIZE, MADV_DONTNEED), "madvise");
	smp_store_release(&due, round);
	for (unsigned i = 0; i < work.pages; i++) {
		unsigned long page = region + (first + i) % work.pages * PAGE_SIZE;

		stamp_check(page, page, round, 0, 0);
		if (rng_below(&rng, 2))
			stamp_write(page, page, round + 1000000);
	}
}

static void thread_main(unsigned i)
{
	if (i) {
		server();
		return;
	}
	for (u64 round = 1; round <= work.rounds; round++) {
		read_round(round);
		progress(round);
	}
	CHECK(!sys_madvise(region, PAGE_SIZE, MADV_DONTNEED), "madvise");
	smp_store_release(&due, work.rounds + 1); /* the server's last fault */
	stamp_check(region, region, work.rounds + 1, 0, 0);
}

void program_main(void)
{
	source = must_map(PAGE_SIZE, MAP_PRIVATE);
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	uffd = uffd_open(0, 0, region, work.pages * PAGE_SIZE, REGISTER_MISSING);
	if (uffd < 0)
		skip("userfaultfd");
	due = 1;
	run_threads(2, thread_main);
}
