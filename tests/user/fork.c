/*
 * fork: a process whose threads write all the time forks again and again.
 *
 * Each page belongs to one writing thread of the parent. The child sees a snapshot: in each page
 * head and tail of the stamp differ by at most the one write that fork interrupted, and nothing in
 * it changes any more, however long the parent goes on. The child writes stamps of its own to some
 * pages; the parent must never see them. Some children fork again. That, and the reference counts
 * that the kernel audits, is the oracle.
 */
#include "tests/user/lib/user.h"

static unsigned long region;
static u32 stop;
static u32 *shared_count; /* in shared memory: pages that children have written */

static unsigned long page_at(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static u64 check_snapshot(unsigned p, u32 parent)
{
	const volatile struct stamp *s = stamp_of(page_at(p));
	u64 head = s->generation, tail = s->tail;

	CHECK_PAGE(page_at(p), s->magic == PAGE_STAMP_MAGIC && s->address == page_at(p),
		   "page %u of the snapshot", p);
	CHECK_PAGE(page_at(p), head == tail || head == tail + 1, "page %u: head %lu and tail %lu",
		   p, head, tail);
	CHECK_PAGE(page_at(p), s->mm == parent, "page %u was written by process %u, not %u", p,
		   s->mm, parent);
	return head;
}

static void child_body(u32 parent, unsigned depth, struct rng *rng)
{
	u32 self = sys_getpid();
	unsigned first = rng_below(rng, work.pages), n = 1 + rng_below(rng, work.pages);
	u64 before[64];

	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = check_snapshot((first + i) % work.pages, parent);
	if (depth && rng_below(rng, 4) == 0) {
		int pid = sys_fork();

		CHECK(pid >= 0, "fork answers %d", pid);
		if (!pid) {
			child_body(parent, depth - 1, rng);
			sys_exit_group(0);
		}
		CHECK(wait_for(pid) == 0, "the grandchild failed");
	}
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		CHECK(check_snapshot((first + i) % work.pages, parent) == before[i],
		      "page %u of the snapshot changed", (first + i) % work.pages);
	for (unsigned i = 0; i < n; i += 3) {
		unsigned p = (first + i) % work.pages;

		stamp_write(page_at(p), page_at(p), 1000000 + i);
		stamp_check(page_at(p), page_at(p), 1000000 + i, self, self);
		__atomic_add_fetch(shared_count, 1, __ATOMIC_RELAXED);
	}
	if (rng_below(rng, 4) == 0) {
		CHECK(!sys_madvise(page_at(first), PAGE_SIZE, MADV_DONTNEED), "madvise");
		stamp_check_zero(page_at(first));
	}
}

static void forker(void)
{
	u32 self = sys_getpid();

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);
		int pid = sys_fork();

		CHECK(pid >= 0, "fork answers %d", pid);
		if (!pid) {
			child_body(self, 1, &rng);
			sys_exit_group(0);
		}
		CHECK(wait_for(pid) == 0, "child %d failed", pid);
		progress(round + 1);
	}
	smp_store_release(&stop, 1);
}

/* Thread i > 0 writes the pages p with p mod (T - 1) == i - 1; thread 0 forks. */
static void thread_main(unsigned i)
{
	u32 self = sys_getpid();
	u64 generation = 1;

	if (i == 0) {
		forker();
		return;
	}
	while (!smp_load_acquire(&stop)) {
		for (unsigned p = i - 1; p < work.pages && !READ_ONCE(stop);
		     p += work.threads - 1) {
			stamp_check(page_at(p), page_at(p), generation, self, 0);
			stamp_write(page_at(p), page_at(p), generation + 1);
		}
		generation++;
	}
}

void program_main(void)
{
	CHECK(work.pages >= 64, "%u pages", work.pages);
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	shared_count = (u32 *)must_map(PAGE_SIZE, MAP_SHARED);
	for (unsigned p = 0; p < work.pages; p++)
		stamp_write(page_at(p), page_at(p), 1);
	run_threads(max(work.threads, 2u), thread_main);
	CHECK(*shared_count > 0, "what the children counted in shared memory did not arrive");
}
