/*
 * Group `faults`: one exception a page, unless the kernel populates neighbours.
 *
 * `touch` and `read_touch` find their page tables there, from pages that were dropped before
 * (unless the kernel drops tables, too: then making them again is its cost); `touch_fresh` is a new
 * mapping.
 */
#include "tests/user/bench/bench.h"

#include <sys/mman.h>

static void drop(const struct range *r)
{
	map_touched(r);
	CHECK(madvise(r->start, r->len, MADV_DONTNEED) == 0);
}

/* A child that has the same pages, and holds them. */
static void share(const struct range *r)
{
	map_touched(r);
	hold_child();
}

/* The pages had another owner, which is gone. */
static void share_and_end(const struct range *r)
{
	map_touched(r);
	fork_and_wait();
}

static void release(const struct range *r)
{
	(void)r;
	release_child();
}

/* The right is taken and given back: what is left to do at the first write to each page. */
static void rights_back(const struct range *r)
{
	map_touched(r);
	take_right(r);
	CHECK(mprotect(r->start, r->len, PROT_READ | PROT_WRITE) == 0);
}

static const struct operation operations[] = {
	{"touch", ALIGNED | SPARSE8 | PERMUTED, drop, write_pages, NULL, false},
	{"touch_fresh", ALIGNED, map_range, write_pages, NULL, false},
	{"read_touch", ALIGNED | SPARSE8 | PERMUTED, drop, read_pages, NULL, false},
	{"cow_copy", DENSITIES | PERMUTED, share, write_pages, release, false},
	{"cow_reuse", ALIGNED | SPARSE8 | PERMUTED, share_and_end, write_pages, NULL, false},
	{"cow_first_write", ALIGNED | SPARSE8, share, write_one_page, release, false},
	{"write_after_mprotect", DENSITIES, rights_back, write_pages, NULL, false},
	{"first_write_after_mprotect", ALIGNED, rights_back, write_one_page, NULL, false},
};

void bench_faults(void)
{
	measure_operations(operations, ARRAY_SIZE(operations));
}
