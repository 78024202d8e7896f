/*
 * stack: several threads write below one stack (MAP_GROWSDOWN), which grows by their faults.
 *
 * Page p below the first belongs to thread p mod T: it stamps it, checks it, drops it, or takes and
 * gives back its right to write. Meanwhile threads fork, and the child goes on growing its copy,
 * and ask for memory in the gap, which they must not get. All leave the stack where it is, so that
 * each round begins with a new one.
 *
 * Oracle: every page that a thread stamped carries the stamp until that thread drops it, in the
 * child of a fork, too; a page that nobody wrote is zero; and no mapping that leaves the kernel the
 * choice of its place lies in the 256 pages below the first.
 */
#include "tests/user/lib/user.h"

#define MAP_GROWSDOWN 0x100
#define GAP_PAGES 256
#define TOP 0x500000000000UL

static struct barrier barrier;

static unsigned long page_below(unsigned p)
{
	return TOP - p * PAGE_SIZE;
}

/* The thread's own pages: i + 1, i + 1 + T, ... */
static unsigned own_page(unsigned i, struct rng *rng)
{
	unsigned n = (work.pages - 1 - i) / work.threads;

	return 1 + i + work.threads * rng_below(rng, n);
}

static void new_stack(void)
{
	long ret;

	sys_munmap(TOP - work.pages * PAGE_SIZE, (work.pages + 1) * PAGE_SIZE);
	ret = sys_mmap(TOP, PAGE_SIZE, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED | MAP_GROWSDOWN,
		       -1, 0);
	CHECK(ret == (long)TOP, "mmap answers %ld", ret);
}

/* A page far below and nearer ones: stamps stay while the stack grows under others. */
static void grow_and_stamp(unsigned i, u64 generation, struct rng *rng)
{
	unsigned p = own_page(i, rng), q = own_page(i, rng);

	stamp_write(page_below(p), page_below(p), generation);
	if (q != p)
		stamp_check_zero(page_below(q));
	stamp_check(page_below(p), page_below(p), generation, sys_getpid(), 0);
	switch (rng_below(rng, 3)) {
	case 0:
		/* What grows next has the rights of the lowest page: let that not be this one. */
		(void)*(volatile u64 *)page_below(p + 1);
		CHECK(!sys_mprotect(page_below(p), PAGE_SIZE, PROT_READ), "of page %u", p);
		stamp_check(page_below(p), page_below(p), generation, sys_getpid(), 0);
		CHECK(!sys_mprotect(page_below(p), PAGE_SIZE, PROT_RW), "of page %u", p);
		break;
	case 1:
		CHECK(probe_write(page_below(q)) == 0, "the kernel's write to page %u fails", q);
		CHECK(!sys_madvise(page_below(q), PAGE_SIZE, MADV_DONTNEED), "of page %u", q);
		stamp_check_zero(page_below(q));
		if (q == p)
			return;
		break;
	}
	stamp_check(page_below(p), page_below(p), generation, sys_getpid(), 0);
	sys_madvise(page_below(p), PAGE_SIZE, MADV_DONTNEED);
}

/* A copy of the stack grows by itself, and keeps what was there. */
static void fork_and_grow(unsigned i, u64 generation, struct rng *rng)
{
	unsigned p = own_page(i, rng), q = own_page(i, rng);
	u32 self = sys_getpid();
	int pid;

	stamp_write(page_below(p), page_below(p), generation);
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		stamp_check(page_below(p), page_below(p), generation, self, 0);
		if (q != p)
			stamp_check_zero(page_below(q));
		*(volatile u64 *)page_below(work.pages - 1) = 1;
		sys_exit_group(0);
	}
	CHECK(wait_for(pid) == 0, "the child's status");
	stamp_check(page_below(p), page_below(p), generation, self, 0);
	sys_madvise(page_below(p), PAGE_SIZE, MADV_DONTNEED);
}

/* The stack's own start is TOP or lower, so this is in its gap or in the stack itself. */
static void ask_for_the_gap(struct rng *rng)
{
	unsigned long hint = page_below(1 + rng_below(rng, GAP_PAGES));
	long at = sys_mmap(hint, PAGE_SIZE, PROT_RW, MAP_PRIVATE | MAP_ANON, -1, 0);

	CHECK(at > 0, "mmap answers %ld", at);
	CHECK((unsigned long)at < page_below(GAP_PAGES) || (unsigned long)at >= TOP,
	      "memory at %#lx, asked for at %#lx, in the gap of the stack at %#lx", at, hint, TOP);
	CHECK(!sys_munmap(at, PAGE_SIZE), "munmap");
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		if (i == 0)
			new_stack();
		barrier_wait(&barrier, work.threads);
		for (unsigned n = 0; n < 4; n++)
			grow_and_stamp(i, round + 1, &rng);
		ask_for_the_gap(&rng);
		if (rng_below(&rng, 8) == 0)
			fork_and_grow(i, round + 1, &rng);
		barrier_wait(&barrier, work.threads);
		if (i == 0)
			progress(round + 1);
	}
}

void program_main(void)
{
	CHECK(work.pages > 2 * work.threads, "%u pages for %u threads", work.pages, work.threads);
	run_threads(work.threads, thread_main);
}
