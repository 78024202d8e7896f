/*
 * mremap: threads move their pages about in one large area, where they share PTE pages with each
 * other.
 *
 * Each thread has a window of the area to itself, three times as large as its block of pages, which
 * it moves to random places; windows are odd in size, and a page that stays free lies between them.
 * Every page carries its own number and generation, which must survive every move; what was left
 * behind must be gone: a probe answers EFAULT. That is the oracle, with the kernel's dirty ledger
 * and reference counts.
 */
#include "tests/user/lib/user.h"

static unsigned long area;
static struct barrier barrier;

struct block {
	unsigned long addr;
	unsigned n; /* pages */
	u64 id;
};

static void stamp_block(const struct block *b, u64 generation)
{
	for (unsigned p = 0; p < b->n; p++)
		stamp_write(b->addr + p * PAGE_SIZE, b->id + p, generation);
}

static void check_block(const struct block *b, u64 generation)
{
	for (unsigned p = 0; p < b->n; p++)
		stamp_check(b->addr + p * PAGE_SIZE, b->id + p, generation, sys_getpid(),
			    sys_gettid());
}

static void move(struct block *b, unsigned long to)
{
	unsigned long old = b->addr, end = old + b->n * PAGE_SIZE;
	long ret = sys_mremap(old, b->n * PAGE_SIZE, b->n * PAGE_SIZE,
			      MREMAP_MAYMOVE | MREMAP_FIXED, to);

	CHECK(ret == (long)to, "mremap of %u pages from %#lx to %#lx answers %ld", b->n, old, to,
	      ret);
	CHECK_PAGE(old, probe_read(old) == -EFAULT, "the first page is still readable at %#lx",
		   old);
	CHECK_PAGE(end - PAGE_SIZE, probe_read(end - PAGE_SIZE) == -EFAULT,
		   "the last page is still readable at %#lx", end - PAGE_SIZE);
	b->addr = to;
}

static void grow_and_shrink(struct block *b)
{
	size_t len = b->n * PAGE_SIZE;
	long ret = sys_mremap(b->addr, len, len + PAGE_SIZE, 0, 0);

	if (ret == -ENOMEM)
		return; /* something is behind it */
	CHECK(ret == (long)b->addr, "growing answers %ld", ret);
	stamp_check_zero(b->addr + len);
	ret = sys_mremap(b->addr, len + PAGE_SIZE, len, 0, 0);
	CHECK(ret == (long)b->addr, "shrinking answers %ld", ret);
	CHECK_PAGE(b->addr + len, probe_read(b->addr + len) == -EFAULT,
		   "the page cut off is still readable");
}

static void thread_main(unsigned i)
{
	unsigned n = work.pages / work.threads / 3 | 1, window = 3 * n;
	unsigned long base = area + (unsigned long)i * (window + 1) * PAGE_SIZE;
	struct block b = {base, n, ((u64)i + 1) << 32};
	long ret;

	/* From here on nobody asks the kernel for a place, so what is unmapped stays free. */
	barrier_wait(&barrier, work.threads);
	CHECK(!sys_munmap(base, (window + 1) * PAGE_SIZE), "munmap");
	ret = sys_mmap(base, n * PAGE_SIZE, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0);
	CHECK(ret == (long)base, "mmap answers %ld", ret);
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);
		unsigned from = (b.addr - base) / PAGE_SIZE, to;

		stamp_block(&b, round + 1);
		/* Ranges must not overlap: go to the part of the window on the other side. */
		if (from >= n)
			to = rng_below(&rng, from - n + 1);
		else
			to = from + n + rng_below(&rng, window - from - 2 * n + 1);
		move(&b, base + to * PAGE_SIZE);
		check_block(&b, round + 1);
		if (rng_below(&rng, 4) == 0)
			grow_and_shrink(&b);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	size_t len = ((work.pages / work.threads / 3 | 1) * 3 + 1) * work.threads * PAGE_SIZE;

	area = must_map(len, MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
