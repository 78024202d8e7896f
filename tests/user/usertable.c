/*
 * usertable: new slots of the top-level table, reached from user mode first.
 *
 * In each round one thread maps an area in an L4 slot that has nothing in it; then all threads
 * touch pages of it at once, each its own, so that they race for the L3, L2 and L1 tables; then the
 * area is dropped with all its tables. Now and then a child is forked that looks for what was
 * written in an address space of its own. Oracle: every stamp is where it was written; a first
 * touch that never gets through (kernel and user tables that differ) hangs here.
 */
#include "tests/user/lib/user.h"

#define SLOT_SHIFT 39
#define FIRST_SLOT 2 /* programs lie in slot 0, mappings without an address in the last ones */
#define SLOTS 200
#define TABLES 4 /* PTE pages below a slot that threads race for */
#define TABLE_SIZE (1UL << 21)

static struct barrier barrier;
static unsigned long area; /* of this round */
static u32 self;

/* Thread @i's page in table @t; those of several threads share a table. */
static unsigned long own_page(unsigned t, unsigned i)
{
	return area + t * TABLE_SIZE + i * PAGE_SIZE;
}

/* Areas begin at the end of an L2 table's range now and then, so that two L2 tables are needed. */
static void map_area(struct rng *rng)
{
	unsigned long slot = FIRST_SLOT + rng_below(rng, SLOTS);
	unsigned long offset = rng_below(rng, 512) << 30;

	if (rng_below(rng, 2))
		offset += (1UL << 30) - TABLE_SIZE * (TABLES / 2);
	if (offset + TABLES * TABLE_SIZE > 1UL << SLOT_SHIFT)
		offset = 0;
	area = (slot << SLOT_SHIFT) + offset;
	CHECK(sys_mmap(area, TABLES * TABLE_SIZE, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1,
		       0) == (long)area,
	      "area at %#lx", area);
}

static void child_looks(u64 round)
{
	int pid = sys_fork();

	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		for (unsigned t = 0; t < TABLES; t++)
			for (unsigned i = 0; i < work.threads; i++)
				stamp_check(own_page(t, i), own_page(t, i), round, self, 0);
		stamp_write(own_page(0, 0), own_page(0, 0), round + 1);
		sys_exit_group(0);
	}
	CHECK(wait_for(pid) == 0, "child %d failed", pid);
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		if (i == 0)
			map_area(&rng);
		barrier_wait(&barrier, work.threads);
		for (unsigned k = 0; k < TABLES; k++) {
			unsigned t = (k + i) % TABLES;

			stamp_check_zero(own_page(t, i));
			stamp_write(own_page(t, i), own_page(t, i), round);
		}
		barrier_wait(&barrier, work.threads);
		for (unsigned t = 0; t < TABLES; t++)
			stamp_check(own_page(t, (i + 1) % work.threads),
				    own_page(t, (i + 1) % work.threads), round, self, 0);
		if (i == 0 && round % 8 == 0)
			child_looks(round);
		barrier_wait(&barrier, work.threads);
		if (i == 0) {
			CHECK(!sys_munmap(area, TABLES * TABLE_SIZE), "munmap");
			progress(round + 1);
		}
	}
}

void program_main(void)
{
	self = sys_getpid();
	run_threads(work.threads, thread_main);
}
