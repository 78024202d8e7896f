/*
 * sparse: one page in each of very many tables.
 *
 * The threads write a page each into every table of a large area, in orders of their own, come back
 * in another order and look; then half of it is dropped and must be zero; then all of it goes.
 * Oracle: each stamp is where it was written, and what was dropped is zero. With more tables than a
 * hypervisor can shadow, shadows are taken and filled again all the time.
 */
#include "tests/user/lib/user.h"

#define TABLE_SIZE (1UL << 21)

static struct barrier barrier;
static unsigned long area;
static u32 self;

/* Thread @i's page in table @t. */
static unsigned long own_page(unsigned t, unsigned i)
{
	return area + t * TABLE_SIZE + i * PAGE_SIZE;
}

/* Call @fn for every table, in an order that @rng chooses. */
static void for_each_table(struct rng *rng, unsigned i, u64 round,
			   void (*fn)(unsigned t, unsigned i, u64 round))
{
	unsigned first = rng_below(rng, work.pages), step = 2 * rng_below(rng, work.pages / 2) + 1;

	/* work.pages is a power of two, so an odd step comes by all. */
	for (unsigned k = 0; k < work.pages; k++)
		fn((first + k * step) & (work.pages - 1), i, round);
}

static void write_page(unsigned t, unsigned i, u64 round)
{
	stamp_check_zero(own_page(t, i));
	stamp_write(own_page(t, i), own_page(t, i), round);
}

static void check_page(unsigned t, unsigned i, u64 round)
{
	stamp_check(own_page(t, i), own_page(t, i), round, self, 0);
}

static void check_rest(unsigned t, unsigned i, u64 round)
{
	if (t < work.pages / 2)
		stamp_check_zero(own_page(t, i));
	else
		check_page(t, i, round);
}

static void map_area(void)
{
	area = must_map(work.pages * TABLE_SIZE, MAP_PRIVATE);
}

static void drop_half(void)
{
	CHECK(!sys_madvise(area, work.pages / 2 * TABLE_SIZE, MADV_DONTNEED), "madvise");
}

static void thread_main(unsigned i)
{
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		if (i == 0)
			map_area();
		barrier_wait(&barrier, work.threads);
		for_each_table(&rng, i, round, write_page);
		barrier_wait(&barrier, work.threads);
		for_each_table(&rng, (i + 1) % work.threads, round, check_page);
		barrier_wait(&barrier, work.threads);
		if (i == 0)
			drop_half();
		barrier_wait(&barrier, work.threads);
		for_each_table(&rng, i, round, check_rest);
		barrier_wait(&barrier, work.threads);
		if (i == 0) {
			CHECK(!sys_munmap(area, work.pages * TABLE_SIZE), "munmap");
			progress(round + 1);
		}
	}
}

void program_main(void)
{
	CHECK(!(work.pages & (work.pages - 1)), "pages must be a power of two");
	self = sys_getpid();
	run_threads(work.threads, thread_main);
}
