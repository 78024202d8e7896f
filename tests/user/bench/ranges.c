/*
 * Group `ranges`: one system call that changes every touched page.
 */
#include "tests/user/bench/bench.h"

#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)

static void give_right(const struct range *r)
{
	CHECK(mprotect(r->start, r->len, RW) == 0);
}

static void without_right(const struct range *r)
{
	map_touched(r);
	take_right(r);
}

/* Only the first page: where a right was taken from a whole table, it is pushed down here. */
static void give_one_right(const struct range *r)
{
	CHECK(mprotect(r->start, PAGE_SIZE, RW) == 0);
}

static void discard(const struct range *r)
{
	CHECK(madvise(r->start, r->len, MADV_DONTNEED) == 0);
}

static void move(const struct range *r)
{
	CHECK(mremap(r->start, r->len, r->len, MREMAP_MAYMOVE | MREMAP_FIXED, r->target) ==
	      r->target);
}

static void nothing(const struct range *r)
{
	(void)r;
}

static const struct operation operations[] = {
	{"mprotect_rw_r", DENSITIES, map_touched, take_right, NULL, false},
	{"mprotect_r_rw", DENSITIES, without_right, give_right, NULL, false},
	{"mprotect_one_page_back", ALIGNED, without_right, give_one_right, NULL, false},
	{"munmap", DENSITIES, map_touched, unmap_range, NULL, false},
	{"dontneed", DENSITIES, map_touched, discard, NULL, false},
	{"mremap", DENSITIES | ODD, map_touched, move, NULL, false},
	{"populate", ALIGNED | UNALIGNED, nothing, map_populated, NULL, false},
};

void bench_ranges(void)
{
	measure_operations(operations, ARRAY_SIZE(operations));
	measure_gib();
}
