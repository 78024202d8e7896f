/*
 * Group `calls`: what costs the same whatever is mapped, and the fork of a process that has touched
 * nothing but itself.
 */
#include "tests/user/bench/bench.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEN (TABLE_PAGES * PAGE_SIZE)
#define PLACE ((char *)(80UL << 30)) /* far from any mapping that a kernel could merge it with */

static char *mapping;

static void nothing(void)
{
	syscall(SYS_getppid);
}

static void map(void)
{
	mapping = mmap(PLACE, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(mapping == PLACE);
}

static void unmap(void)
{
	CHECK(munmap(mapping, LEN) == 0);
}

static void map_and_unmap(void)
{
	map();
	unmap();
}

static void protect_and_back(void)
{
	CHECK(mprotect(mapping, LEN, PROT_READ) == 0);
	CHECK(mprotect(mapping, LEN, PROT_READ | PROT_WRITE) == 0);
}

void bench_calls(void)
{
	measure_call("getppid", nothing, NULL);
	measure_call("mmap_untouched", map, unmap);
	measure_call("mmap_munmap_untouched", map_and_unmap, NULL);
	map();
	measure_call("mprotect_both_untouched", protect_and_back, NULL);
	unmap();
	measure_fork("fork_untouched", wait_child);
	measure_call("fork_parent_untouched", fork_child, wait_child);
	measure_call("fork_exit_wait_untouched", fork_and_wait, NULL);
}
