/*
 * early: who returns too early.
 *
 * Two or three threads take the same pages away at the same time: they drop, unmap, protect or move
 * them. The second one finds nothing left to do, and may return only when the first has told every
 * CPU. So all of them have the pages in their TLBs, none leaves user mode until it calls, and each
 * looks as soon as its own call has returned. Oracle: what was dropped is zero, what was unmapped
 * or moved cannot be read, and what was protected cannot be written. (Linux, 2017: "TLB flush
 * batching race", commit 16af97dc5a89.)
 *
 * And three threads copy on write: one writes a page that a child shares, a second one writes it as
 * soon as it can, and says so, and a third one, whose CPU knows the old page, reads it. Oracle: who
 * has read that the page was written finds what was. (golang/go issue 34988; FreeBSD D14347.)
 *
 * Threads work in teams of four. The first and the last of a team share a CPU, so that where the
 * first is preempted in mid-call the last goes on.
 */
#include "tests/user/lib/user.h"

#define PAGES 24
#define LEN (PAGES * PAGE_SIZE)
#define TEAM 4
#define COPIES 8      /* pages that a round copies */
#define SPINS 300     /* looks before a thread lets others run */
#define DELAY_MAX 600 /* turns of a loop between two calls that begin together */

enum { FIRST, SECOND, THIRD, NEIGHBOUR };
enum kind {
	DROP,
	DROP_OR_MAP,
	PROTECT,
	PROTECT_OR_HIDE,
	HIDE,
	UNMAP,
	MOVE,
	MOVE_OR_UNMAP,
	COPY,
	NR_KINDS
};

static struct team {
	unsigned long home, away; /* away: a place for each member */
	struct barrier barrier;
	u32 hot;	  /* how many have the pages in their TLBs, of all rounds */
	u32 looked;	  /* how many have found them gone, of all rounds */
	u32 announced;	  /* copies: the page that is being written, of all rounds */
	u32 over;	  /* how many have done with it */
	u64 written;	  /* the number that the neighbour has written to it */
	u32 child_may_go; /* in shared memory, with the rest of this */
} * teams;

static u64 all_cpus;

static struct team *team_of(unsigned i)
{
	return &teams[i / TEAM];
}

static unsigned size_of(const struct team *team)
{
	return min(work.threads - (unsigned)(team - teams) * TEAM, (unsigned)TEAM);
}

/* The @n-th of the CPUs that there are, from 0 on, round and round. */
static u64 nth_cpu(unsigned n)
{
	u64 left = all_cpus;

	for (; n; n--)
		left = left & (left - 1) ? left & (left - 1) : all_cpus;
	return left & -left;
}

static void choose_cpu(unsigned i)
{
	static const unsigned place[TEAM] = {0, 1, 2, 0};
	u64 mask = nth_cpu(i / TEAM * 3 + place[i % TEAM]);

	CHECK(!syscall3(SYS_sched_setaffinity, 0, sizeof(mask), &mask), "sched_setaffinity");
}

/* Until *@word has reached @value; in user mode, as far as others have CPUs. */
static void spin_until(const u32 *word, u32 value)
{
	for (unsigned spin = 1; (int)(smp_load_acquire(word) - value) < 0; spin++) {
		cpu_relax();
		if (spin % SPINS == 0)
			sys_yield();
	}
}

static void delay(struct rng *rng)
{
	for (unsigned n = rng_below(rng, DELAY_MAX); n; n--)
		barrier();
}

static volatile u64 *word_of(unsigned long base, unsigned page)
{
	return (volatile u64 *)(base + page * PAGE_SIZE);
}

/* --- calls that take the pages away --- */

static void map_home(const struct team *team)
{
	CHECK(sys_mmap(team->home, LEN, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) ==
		      (long)team->home,
	      "mmap");
}

static void fill_home(const struct team *team, u64 round)
{
	map_home(team);
	for (unsigned k = 0; k < PAGES; k++)
		*word_of(team->home, k) = round + 1;
}

/* As the kernel's accesses find the pages by other entries of QEMU's TLB, these must know them. */
static void know_pages(const struct team *team, u64 round)
{
	for (unsigned k = 0; k < PAGES; k++) {
		unsigned long page = team->home + k * PAGE_SIZE;

		CHECK_PAGE(page, *word_of(team->home, k) == round + 1, "page %u before", k);
		CHECK_PAGE(page, !probe_read(page) && !probe_write(page + 64), "page %u before", k);
		*word_of(team->home, k) = round + 1;
	}
}

static void drop(const struct team *team)
{
	CHECK(!sys_madvise(team->home, LEN, MADV_DONTNEED), "madvise");
}

static void protect(const struct team *team, int prot)
{
	CHECK(!sys_mprotect(team->home, LEN, prot), "mprotect");
}

/* Who comes second finds nothing to move. */
static void move(const struct team *team, unsigned member)
{
	unsigned long to = team->away + member * LEN;
	long ret = sys_mremap(team->home, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);

	CHECK(ret == (long)to || ret == -EFAULT, "mremap answers %ld", ret);
}

static void unmap(const struct team *team)
{
	CHECK(!sys_munmap(team->home, LEN), "munmap");
}

/* Members differ where two calls are mixed. */
static void call(const struct team *team, enum kind kind, unsigned member)
{
	switch (kind) {
	case DROP_OR_MAP:
		if (member % 2) {
			map_home(team);
			break;
		}
		__attribute__((fallthrough));
	case DROP:
		drop(team);
		break;
	case PROTECT:
		protect(team, PROT_READ);
		break;
	case PROTECT_OR_HIDE:
		protect(team, member % 2 ? PROT_NONE : PROT_READ);
		break;
	case HIDE:
		protect(team, PROT_NONE);
		break;
	case MOVE_OR_UNMAP:
		if (member % 2)
			unmap(team);
		else
			move(team, member);
		break;
	case MOVE:
		move(team, member);
		break;
	default:
		unmap(team);
		break;
	}
}

static void check_page(enum kind kind, unsigned long page)
{
	if (kind == DROP || kind == DROP_OR_MAP)
		CHECK_PAGE(page, !*(volatile u64 *)page, "what was dropped is still there: %lu",
			   *(volatile u64 *)page);
	else if (kind == PROTECT || kind == PROTECT_OR_HIDE)
		CHECK_PAGE(page, probe_write(page + 64) == -EFAULT,
			   "what was protected is writable");
	else
		CHECK_PAGE(page, probe_read(page) == -EFAULT, "what was taken away is readable");
}

/* How many of the round's callers and of all before it there have been, when all have. */
static u32 calls_until(const struct team *team, u64 round)
{
	u64 rounds = round / NR_KINDS * (NR_KINDS - 1) + round % NR_KINDS + 1;

	return rounds * min(size_of(team), (unsigned)NEIGHBOUR);
}

static void take_away(struct team *team, enum kind kind, unsigned member, u64 round,
		      struct rng *rng)
{
	u32 calls = calls_until(team, round);

	/* Where the first is preempted in its call, this keeps it away until all have looked. */
	if (member == NEIGHBOUR) {
		spin_until(&team->looked, calls);
		return;
	}
	know_pages(team, round);
	__atomic_add_fetch(&team->hot, 1, __ATOMIC_SEQ_CST);
	spin_until(&team->hot, calls);
	delay(rng);
	call(team, kind, member);
	for (unsigned k = 0; k < PAGES; k++)
		check_page(kind, team->home + k * PAGE_SIZE);
	__atomic_add_fetch(&team->looked, 1, __ATOMIC_SEQ_CST);
}

/* --- copies on write --- */

static int share_with_child(struct team *team)
{
	int parent = sys_getpid(), pid;

	WRITE_ONCE(team->child_may_go, 0);
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	while (!pid) {
		futex_wait_ms(&team->child_may_go, 0, 50);
		if (smp_load_acquire(&team->child_may_go))
			sys_exit_group(0);
		if (syscall3(SYS_getppid, 0, 0, 0) != parent)
			sys_exit_group(1);
	}
	return pid;
}

static void let_child_go(struct team *team, int pid)
{
	smp_store_release(&team->child_may_go, 1);
	futex_wake(&team->child_may_go, 1);
	CHECK(!wait_for(pid), "the child failed");
}

static bool has_been_written(struct team *team, u64 number)
{
	return smp_load_acquire(&team->written) == number;
}

/* Reads all the time, so that this CPU knows the old page. */
static void read_until_written(struct team *team, unsigned k, u64 number)
{
	for (unsigned spin = 1; !has_been_written(team, number); spin++) {
		(void)*word_of(team->home, k);
		if (spin % SPINS == 0)
			sys_yield();
	}
	for (unsigned i = 0; i < 4; i++) {
		u64 found = word_of(team->home, k)[1];

		CHECK_PAGE(team->home + k * PAGE_SIZE, found == number,
			   "%lu was written to the page, and %lu is read", number, found);
	}
}

static void copy_one(struct team *team, unsigned member, unsigned k, u64 number, struct rng *rng)
{
	if (member == FIRST) {
		smp_store_release(&team->announced, number);
		word_of(team->home, k)[2] = number;
	} else if (member == NEIGHBOUR) {
		spin_until(&team->announced, number);
		word_of(team->home, k)[1] = number;
		smp_store_release(&team->written, number);
	} else {
		delay(rng);
		read_until_written(team, k, number);
	}
	__atomic_add_fetch(&team->over, 1, __ATOMIC_SEQ_CST);
	spin_until(&team->over, number * TEAM);
}

static void copy_on_write(struct team *team, unsigned member, u64 round, struct rng *rng)
{
	int pid = 0;

	if (size_of(team) < TEAM)
		return;
	if (member == FIRST)
		pid = share_with_child(team);
	barrier_wait(&team->barrier, TEAM);
	if (member == SECOND || member == THIRD)
		for (unsigned k = 0; k < COPIES; k++)
			(void)*word_of(team->home, k);
	for (unsigned k = 0; k < COPIES; k++)
		copy_one(team, member, k, round / NR_KINDS * COPIES + k + 1, rng);
	if (member == FIRST)
		let_child_go(team, pid);
}

/* --- rounds --- */

static void thread_main(unsigned i)
{
	struct team *team = team_of(i);

	choose_cpu(i);
	for (u64 round = 0; round < work.rounds * NR_KINDS; round++) {
		enum kind kind = round % NR_KINDS;
		struct rng rng = thread_rng(i, round);

		if (i % TEAM == FIRST)
			fill_home(team, round);
		barrier_wait(&team->barrier, size_of(team));
		if (kind == COPY)
			copy_on_write(team, i % TEAM, round, &rng);
		else
			take_away(team, kind, i % TEAM, round, &rng);
		barrier_wait(&team->barrier, size_of(team));
		if (i == 0 && kind == COPY)
			progress(round / NR_KINDS + 1);
	}
}

void program_main(void)
{
	unsigned n = (work.threads + TEAM - 1) / TEAM;
	unsigned long memory = must_map(n * (TEAM + 1) * LEN, MAP_PRIVATE);

	CHECK(syscall3(SYS_sched_getaffinity, 0, sizeof(all_cpus), &all_cpus) > 0,
	      "sched_getaffinity");
	teams = (struct team *)must_map(n * sizeof(*teams), MAP_SHARED);
	for (unsigned k = 0; k < n; k++) {
		teams[k].home = memory + k * (TEAM + 1) * LEN;
		teams[k].away = teams[k].home + LEN;
	}
	run_threads(work.threads, thread_main);
}
