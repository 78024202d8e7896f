/*
 * tables: whole page tables change at once, while other threads use them.
 *
 * Each thread owns a block of memory that one PTE page covers, and a spare place of twice its size;
 * so each change of it may be one of the table's own entry. Of the block, work.pages pages spread
 * over the table carry stamps. The owner protects it, forks, drops it, maps it anew and moves it;
 * after each change it announces what every CPU must see now. Others probe at any time: if the same
 * was announced before and after and the probe's answer contradicts it, a translation is stale.
 * Contents survive what must not change them; children see theirs whatever the parent writes, and
 * the parent what it wrote. That is the oracle, with the kernel's audit and dirty ledger.
 */
#include "tests/user/lib/user.h"

#define BLOCK (1UL << 21)
#define PAGES_OF_BLOCK 512
#define LOOKS 24 /* at a block, before its owner goes on */
#define SEEN 8	 /* pages of it that others use: their CPUs have them in their TLBs */

/* What is announced: a sequence number times 4, and one of these. */
enum { UNKNOWN, RW, RO, ZERO };

static unsigned long area; /* of each thread three blocks: its home, and the spare place */
static struct barrier barrier;
static struct {
	u32 announced;
	u32 looks; /* of others, at the block */
	u32 pad[14];
} block[MAX_THREADS];
static u32 watched; /* whose block has just been announced */
/* In shared memory: how far the parent is, for its child. */
static u32 *parent_wrote;

static unsigned long home(unsigned i)
{
	return area + 3 * i * BLOCK;
}

static unsigned long page_of(unsigned long base, unsigned k)
{
	return base + (unsigned long)k * (PAGES_OF_BLOCK / work.pages) * PAGE_SIZE;
}

static void announce(unsigned i, u32 what)
{
	smp_store_release(&block[i].announced, (block[i].announced & ~3u) + 4 + what);
	smp_mb();
}

/* Until the others have looked at the block for a while, or have something else to do. */
static void let_others_look(unsigned i)
{
	u32 first = READ_ONCE(block[i].looks);

	WRITE_ONCE(watched, i);
	for (unsigned n = 0; n < 40 && READ_ONCE(block[i].looks) - first < LOOKS; n++)
		sys_yield();
}

/* Stamps say the page's place at home, wherever it is. */
static void write_all(unsigned i, u64 generation)
{
	for (unsigned k = 0; k < work.pages; k++)
		stamp_write(page_of(home(i), k), page_of(home(i), k), generation);
}

static void check_from(unsigned i, unsigned long base, u64 generation, unsigned first)
{
	for (unsigned k = first; k < work.pages; k++)
		stamp_check(page_of(base, k), page_of(home(i), k), generation, 0, 0);
}

static void check_all(unsigned i, unsigned long base, u64 generation)
{
	check_from(i, base, generation, 0);
}

static void protect(unsigned long base, size_t len, int prot)
{
	long ret = sys_mprotect(base, len, prot);

	CHECK(!ret, "mprotect answers %ld", ret);
}

static void give_back(unsigned i)
{
	announce(i, UNKNOWN);
	protect(home(i), BLOCK, PROT_RW);
	announce(i, RW);
}

/* --- what the owner does --- */

/* The whole; then a part of it is given back alone, and must not take the rest with it. */
static void protect_and_give_back(unsigned i, u64 generation, struct rng *rng)
{
	unsigned long part = page_of(home(i), rng_below(rng, work.pages / 2));

	let_others_look(i);
	protect(home(i), BLOCK, PROT_READ);
	announce(i, RO);
	let_others_look(i);
	check_all(i, home(i), generation);
	if (rng_below(rng, 2)) {
		announce(i, UNKNOWN);
		protect(part, PAGE_SIZE, PROT_RW);
		CHECK_PAGE(part, !probe_write(part + 64), "the page given back");
		CHECK_PAGE(part, probe_write(page_of(home(i), work.pages - 1) + 64) == -EFAULT,
			   "a page is writable beside the one that was given back");
	}
	give_back(i);
	check_all(i, home(i), generation);
}

static void child_body(unsigned i, u64 generation, bool read_only, int parent)
{
	check_all(i, home(i), generation);
	if (read_only) {
		CHECK(probe_write(page_of(home(i), 1) + 64) == -EFAULT, "the child's is writable");
		protect(home(i), BLOCK, PROT_RW);
	} else {
		while (!smp_load_acquire(&parent_wrote[i])) {
			if (syscall3(SYS_getppid, 0, 0, 0) != parent)
				sys_exit_group(1); /* it has failed */
			sys_yield();
		}
		check_all(i, home(i), generation);
	}
	for (unsigned k = i % 3; k < work.pages; k += 3)
		stamp_write(page_of(home(i), k), page_of(home(i), k), generation + 2);
	for (unsigned k = 0; k < work.pages; k++)
		stamp_check(page_of(home(i), k), page_of(home(i), k),
			    generation + (k % 3 == i % 3 ? 2 : 0), 0, 0);
	sys_exit_group(0);
}

/* The parent writes while the child lives, or has no right to; then all is its own again. */
static void fork_and_write(unsigned i, u64 generation, struct rng *rng)
{
	bool read_only = rng_below(rng, 2);
	int self = sys_getpid(), pid;

	if (read_only) {
		protect(home(i), BLOCK, PROT_READ);
		announce(i, RO);
	}
	smp_store_release(&parent_wrote[i], 0);
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid)
		child_body(i, generation, read_only, self);
	if (!read_only)
		write_all(i, generation + 1);
	smp_store_release(&parent_wrote[i], 1);
	CHECK(wait_for(pid) == 0, "child %d failed", pid);
	check_all(i, home(i), generation + !read_only);
	if (read_only)
		give_back(i);
	write_all(i, generation + 3);
	check_all(i, home(i), generation + 3);
}

static void drop(unsigned i, struct rng *rng)
{
	int flags = MAP_PRIVATE | MAP_ANON | MAP_FIXED | (rng_below(rng, 2) ? MAP_POPULATE : 0);

	if (rng_below(rng, 2))
		CHECK(!sys_madvise(home(i), BLOCK, MADV_DONTNEED), "madvise");
	else
		CHECK(sys_mmap(home(i), BLOCK, PROT_RW, flags, -1, 0) == (long)home(i), "mmap");
	announce(i, ZERO);
	let_others_look(i);
	for (unsigned k = 0; k < work.pages; k++)
		stamp_check_zero(page_of(home(i), k));
	announce(i, UNKNOWN);
}

/* The block but for its first pages, @stay of those that are used. */
static void move(unsigned long from, unsigned long to, unsigned stay)
{
	unsigned long skip = page_of(0, stay), len = BLOCK - skip;
	long ret = sys_mremap(from + skip, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to + skip);

	CHECK(ret == (long)(to + skip), "mremap answers %ld", ret);
	for (unsigned k = stay; k < work.pages; k++)
		CHECK_PAGE(page_of(from, k), probe_read(page_of(from, k)) == -EFAULT,
			   "what was moved is still readable");
}

/*
 * To the spare place and back, with or without the right to write; to the same indices of a table,
 * or to others in two of them. If a part is left behind, its table is left to it.
 */
static void move_and_return(unsigned i, u64 generation, struct rng *rng)
{
	unsigned long place = home(i) + BLOCK, spare = place;
	bool read_only = rng_below(rng, 2);
	unsigned stay = rng_below(rng, 3) ? 0 : rng_below(rng, work.pages);

	if (rng_below(rng, 4))
		spare += rng_below(rng, PAGES_OF_BLOCK) * PAGE_SIZE;
	if (read_only)
		protect(home(i), BLOCK, PROT_READ);
	CHECK(!sys_munmap(place, 2 * BLOCK), "munmap");
	check_all(i, home(i), generation); /* now this CPU has it in its TLB */
	move(home(i), spare, stay);
	check_from(i, spare, generation, stay);
	CHECK_PAGE(spare, probe_write(page_of(spare, stay) + 64) == (read_only ? -EFAULT : 0),
		   "the right to write did not move");
	move(spare, home(i), stay);
	if (read_only)
		protect(home(i), BLOCK, PROT_RW);
	check_all(i, home(i), generation);
	CHECK(sys_mmap(place, 2 * BLOCK, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) ==
		      (long)place,
	      "mmap");
}

/* --- what the others do --- */

static void probe(unsigned i, struct rng *rng)
{
	unsigned long page = page_of(home(i), rng_below(rng, SEEN));
	u32 before = smp_load_acquire(&block[i].announced), after;
	long wrote = probe_write(page + 64);

	smp_mb();
	after = smp_load_acquire(&block[i].announced);
	if (before == after && (before & 3) == RO)
		CHECK_PAGE(page, wrote == -EFAULT, "a page that is read-only was written");
}

/* Reads in user mode, which keep what this CPU's TLB has; only of blocks that never move. */
static void look(unsigned i, struct rng *rng)
{
	unsigned long page = page_of(home(i), rng_below(rng, SEEN));
	u32 before = smp_load_acquire(&block[i].announced), after;
	u64 found = stamp_of(page)->generation;

	smp_mb();
	after = smp_load_acquire(&block[i].announced);
	if (before == after && (before & 3) == ZERO)
		CHECK_PAGE(page, !found, "generation %lu in a page that was dropped", found);
}

static void use_others(unsigned self, struct rng *rng)
{
	for (unsigned n = 0; n < 16; n++) {
		unsigned i = n % 2 ? READ_ONCE(watched) : rng_below(rng, work.threads);

		if (i == self)
			continue;
		__atomic_add_fetch(&block[i].looks, 1, __ATOMIC_RELAXED);
		if (i % 2)
			look(i, rng);
		probe(i, rng);
	}
}

static void one_round(unsigned i, u64 generation, struct rng *rng)
{
	write_all(i, generation);
	announce(i, RW);
	use_others(i, rng);
	announce(i, UNKNOWN);
	switch (rng_below(rng, i % 2 ? 3 : 4)) {
	case 0:
		protect_and_give_back(i, generation, rng);
		break;
	case 1:
		fork_and_write(i, generation, rng);
		break;
	case 2:
		drop(i, rng);
		break;
	case 3:
		move_and_return(i, generation, rng);
		break;
	}
	use_others(i, rng);
}

static void thread_main(unsigned i)
{
	barrier_wait(&barrier, work.threads);
	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		one_round(i, 4 * (round + 1), &rng);
		if (i == 0)
			progress(round + 1);
	}
	announce(i, UNKNOWN);
}

void program_main(void)
{
	CHECK(work.pages && PAGES_OF_BLOCK % work.pages == 0, "%u pages", work.pages);
	area = must_map((3 * work.threads + 1) * BLOCK, MAP_PRIVATE);
	area = ALIGN_UP(area, BLOCK);
	parent_wrote = (u32 *)must_map(PAGE_SIZE, MAP_SHARED);
	run_threads(work.threads, thread_main);
}
