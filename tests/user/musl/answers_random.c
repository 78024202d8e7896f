/*
 * Random sequences of the calls that change an address space, for a comparison of kernels.
 *
 * Each step makes one call in an arena that lies across two page tables, prints it with its answer,
 * and then, now and then, what each place of the arena permits and holds. Children do the same in
 * their copy. Then threads do so, each in an arena of its own, and the arenas share page tables.
 * The oracle is another kernel: tests/system/test_answers.py runs the same seeds on Linux and
 * compares every line. So nothing here may depend on what a kernel may choose: addresses are fixed;
 * and mremap() gets no range that was put together from several mappings, since it depends on
 * merging whether that is one. Each line has its seed in it, and a child's the child's; in which
 * order threads print them does not matter.
 *
 * Arguments: the first seed, how many seeds, how many steps each, how many seeds of threads.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define PAGE 4096UL
#define TABLE (512 * PAGE)
#define PLACES 48
#define PLACES_A_LINE 12
#define LOOK_EVERY 8
#define MAX_LENGTH 9
#define THREADS 4
#define BASE ((char *)0x300000000000 + 16 * TABLE)

static __thread char *arena;
static __thread unsigned long unit; /* bytes of a place */
static __thread unsigned origin[PLACES],
	origins; /* which call made it what it is; 0: nothing is there */
static __thread unsigned long long state;
static __thread bool in_child;
static __thread unsigned steps_done, stamps;
static __thread unsigned long seed;
static __thread char line[256];
static __thread unsigned used; /* of the line */

/*
 * Whole lines go by one call each, without stdio, whose locks a thread may hold when another forks.
 */
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	used += vsnprintf(line + used, sizeof(line) - used, format, args);
	va_end(args);
	if (used >= sizeof(line))
		abort();
	if (line[used - 1] != '\n')
		return;
	if (write(1, line, used) != (ssize_t)used)
		abort();
	used = 0;
}

/* xorshift64* */
static unsigned below(unsigned n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (state * 2685821657736338717ULL >> 33) % n;
}

static char *at(unsigned place)
{
	return arena + place * unit;
}

/* --- what is seen of a place, without a fault --- */

static bool may_read(char *p)
{
	return !syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, p + 8, NULL, 8);
}

static bool may_write(char *p)
{
	return !syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, NULL, p + 8, 8);
}

static void look_at(char *p)
{
	char *last = p + unit - PAGE;

	if (!may_read(p) || !may_read(last))
		say("-%s ", may_read(p) != may_read(last) ? "!" : "");
	else
		say("%x,%x%s ", *(volatile unsigned *)p, *(volatile unsigned *)last,
		    may_write(p) && may_write(last) ? "w" : "");
}

/* In parts: what is longer than 256 bytes may be cut by what another thread writes. */
static void look(const char *who)
{
	for (unsigned i = 0; i < PLACES; i++) {
		if (i % PLACES_A_LINE == 0)
			say("%s %lu.%u from %u: ", who, seed, steps_done, i);
		look_at(at(i));
		if (i % PLACES_A_LINE == PLACES_A_LINE - 1)
			say("\n");
	}
}

/* --- a step --- */

struct range {
	unsigned first, n;
};

static struct range any_range(void)
{
	struct range r = {.n = 1 + below(MAX_LENGTH)};

	r.first = below(PLACES - r.n + 1);
	return r;
}

/* In bytes; sometimes not whole pages, which a call rounds up. */
static unsigned long length(struct range r)
{
	return r.n * unit - (below(5) ? 0 : 100);
}

static void made(struct range r, bool mapped)
{
	origins++;
	for (unsigned i = r.first; i < r.first + r.n; i++)
		origin[i] = mapped ? origins : 0;
}

/* What splits a mapping: what had one origin has one again, but no longer that of what lies
 * outside. Holes stay. */
static void split(struct range r)
{
	unsigned before = 0;

	for (unsigned i = r.first; i < r.first + r.n; i++) {
		if (!origin[i])
			continue;
		if (i == r.first || origin[i] != before)
			origins++;
		before = origin[i];
		origin[i] = origins;
	}
}

static bool answer(const char *call, struct range r, const char *more, unsigned long value,
		   long found)
{
	int error = found == -1 ? errno : 0;

	say("%s%lu.%u %s(%u, %u, %s %#lx): ", in_child ? "child " : "", seed, steps_done, call,
	    r.first, r.n, more, value);
	if (error)
		say("%s\n", strerror(error));
	else if ((char *)found >= arena && (char *)found < at(PLACES))
		say("at %lu\n", ((char *)found - arena) / unit);
	else
		say("%ld\n", found);
	return !error;
}

static int any_prot(void)
{
	static const int prot[] = {PROT_NONE,
				   PROT_READ,
				   PROT_WRITE,
				   PROT_READ | PROT_WRITE,
				   PROT_READ | PROT_WRITE,
				   PROT_READ | PROT_EXEC,
				   PROT_READ | PROT_WRITE | PROT_EXEC};

	return prot[below(sizeof(prot) / sizeof(*prot))];
}

static void step_mmap(void)
{
	struct range r = any_range();
	int prot = any_prot(), flags = MAP_ANONYMOUS | (below(3) ? MAP_PRIVATE : MAP_SHARED);

	flags |= below(4) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	flags |= below(3) ? 0 : MAP_POPULATE;
	flags |= below(6) ? 0 : MAP_NORESERVE;
	if (answer("mmap", r, prot & PROT_EXEC ? "x" : "", (unsigned long)flags << 4 | prot,
		   (long)mmap(at(r.first), length(r), prot, flags, -1, 0)))
		made(r, true);
}

static void step_munmap(void)
{
	struct range r = any_range();

	if (answer("munmap", r, "", 0, munmap(at(r.first), length(r))))
		made(r, false);
}

static void step_mprotect(void)
{
	struct range r = any_range();
	int prot = any_prot();

	answer("mprotect", r, "", prot, mprotect(at(r.first), length(r), prot));
	split(r);
}

static void step_madvise(void)
{
	static const int advice[] = {MADV_DONTNEED,
				     MADV_DONTNEED,
				     MADV_DONTNEED,
				     8 /* FREE */,
				     MADV_DONTFORK,
				     MADV_DOFORK,
				     18 /* WIPEONFORK */,
				     19 /* KEEPONFORK */,
				     22 /* POPULATE_READ */,
				     23 /* POPULATE_WRITE */,
				     MADV_WILLNEED,
				     MADV_NORMAL,
				     16 /* DONTDUMP */,
				     17 /* DODUMP */,
				     99};
	struct range r = any_range();
	int a = advice[below(sizeof(advice) / sizeof(*advice))];

	for (unsigned i = r.first; i < r.first + r.n; i++)
		if ((a == 22 || a == 23) && (!origin[i] || in_child))
			return; /* of hole and rights, an older Linux finds another first;
				   MADV_DONTFORK makes holes */
	answer("madvise", r, "", a, madvise(at(r.first), length(r), a));
	split(r);
}

/* Some places from @r.first on that one call has made. */
static struct range of_one_origin(void)
{
	struct range r = any_range();
	unsigned n = 1;

	while (n < r.n && origin[r.first + n] == origin[r.first])
		n++;
	r.n = n;
	return r;
}

static void step_mremap(void)
{
	struct range r = of_one_origin(), to = {.n = below(3) ? r.n : 1 + below(MAX_LENGTH)};
	int flags = below(4) ? MREMAP_MAYMOVE | MREMAP_FIXED : 0;
	unsigned long cut = below(5) ? 0 : 100;
	char *target, text[48];

	to.first = below(PLACES - to.n + 1);
	if (flags && to.n == r.n && !below(4))
		flags |= MREMAP_DONTUNMAP;
	if (!flags)
		to.first = r.first;
	if (to.first + to.n > PLACES)
		to.n = PLACES - to.first;
	if (flags && r.first < to.first + to.n && to.first < r.first + r.n)
		return; /* Linux before 6.17 looks for a mapping first */
	target = at(to.first);
	snprintf(text, sizeof(text), "to %u, %u", to.first, to.n);
	if (!answer("mremap", r, text, flags,
		    (long)mremap(at(r.first), r.n * unit - cut, to.n * unit - cut, flags, target)))
		return;
	if (!(flags & MREMAP_DONTUNMAP) && (flags || to.n < r.n))
		made(r, false);
	made(to, true);
}

static void step_write(void)
{
	struct range r = any_range();

	for (unsigned i = r.first; i < r.first + r.n; i++) {
		char *p = at(i) + (below(2) ? 0 : unit - PAGE);

		stamps++;
		if (may_write(p))
			*(volatile unsigned *)p = (in_child ? 0x10000 : 0) + stamps;
	}
}

static void steps(unsigned n);

static void step_fork(void)
{
	int status = -1;
	pid_t pid;

	if (in_child)
		return;
	pid = fork();
	if (!pid) {
		in_child = true;
		look("child");
		steps(12);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	say("child of %lu.%u: %d\n", seed, steps_done, status);
	state += 12345; /* or its steps come again */
}

static void step(void)
{
	static void (*const kinds[])(void) = {
		step_mmap,    step_mmap,    step_munmap, step_mprotect, step_mprotect,
		step_madvise, step_madvise, step_mremap, step_mremap,	step_write,
		step_write,   step_write,   step_fork};

	kinds[below(sizeof(kinds) / sizeof(*kinds))]();
}

static void steps(unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		steps_done++;
		step();
		if (i % LOOK_EVERY == 0)
			look(in_child ? "child" : "state");
	}
}

/* Where nothing is mapped most calls fail. */
static void map_all(void)
{
	mmap(arena, PLACES * unit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	     -1, 0);
	made((struct range){0, PLACES}, true);
}

static void run_seed(unsigned long s, unsigned n)
{
	seed = s;
	state = s * 0x9e3779b97f4a7c15ULL + 1;
	steps_done = stamps = origins = 0;
	memset(origin, 0, sizeof(origin));
	if (s % 2)
		map_all();
	steps(n);
	look("end");
	munmap(arena, PLACES * unit);
}

/* Every third arena has large places, so that whole tables change. */
static void run_alone(unsigned long s, unsigned n)
{
	unit = s % 3 ? PAGE : 80 * PAGE;
	arena = BASE - PLACES / 2 * unit;
	run_seed(s, n);
}

struct work {
	pthread_t thread;
	unsigned long seed;
	unsigned steps, index;
};

/* The arenas lie side by side, some of them below the same tables. */
static void *run_beside(void *arg)
{
	const struct work *w = arg;

	unit = w->seed / THREADS % 2 ? PAGE : 8 * PAGE;
	arena = BASE + ((long)w->index - THREADS / 2) * (long)(PLACES * unit);
	run_seed(w->seed, w->steps);
	return NULL;
}

/* THREADS seeds from @first on. */
static void run_threads(unsigned long first, unsigned n)
{
	struct work work[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		work[i] = (struct work){.seed = first + i, .steps = n, .index = i};
		if (pthread_create(&work[i].thread, NULL, run_beside, &work[i]))
			abort();
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(work[i].thread, NULL);
}

static unsigned long argument(int argc, char **argv, int i, unsigned long otherwise)
{
	return argc > i ? strtoul(argv[i], NULL, 0) : otherwise;
}

int main(int argc, char **argv)
{
	unsigned long first = argument(argc, argv, 1, 1), seeds = argument(argc, argv, 2, 6);
	unsigned long threads = argument(argc, argv, 4, 8), s;
	unsigned n = argument(argc, argv, 3, 250);

	for (s = first; s < first + seeds; s++)
		run_alone(s, n);
	for (s = 1000000 + first * THREADS; s < 1000000 + first * THREADS + threads; s += THREADS)
		run_threads(s, n);
	say("%lu rows, 0 wrong\n", (seeds + threads) * n);
	return 0;
}
