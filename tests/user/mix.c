/*
 * mix: every operation at once, in random sizes from one page to several PTE pages.
 *
 * Each thread has an arena of its own, and the arenas lie side by side, so that they share PTE
 * pages at their ends; a model of each arena (per page: mapped, rights, generation) is kept in the
 * program. Each step does one operation on a random range, updates the model, and then compares
 * some pages with it: contents by their stamps, rights by probes. Every few steps a child is
 * forked, which compares its snapshot with the model too. The oracle is the model, and all that the
 * kernel checks beneath.
 */
#include "tests/user/lib/user.h"

enum { HOLE, NONE, RO, RW };

struct model_page {
	u8 rights;
	bool shared;	/* MADV_DONTNEED keeps it, and a child must leave it alone */
	u32 generation; /* 0: zeros */
};

static unsigned long area;
static unsigned long scratch; /* as large as the area, and unmapped: where moves go and come back */
static struct barrier barrier;
static struct model_page *model;
static bool in_child;

struct arena {
	unsigned first, n; /* pages of the area */
	struct rng rng;
	u32 generation;
};

static unsigned long page_at(unsigned p)
{
	return area + p * PAGE_SIZE;
}

static void pick_range(struct arena *a, unsigned *first, unsigned *n)
{
	/* Mostly small, sometimes nearly everything. */
	unsigned limit = rng_below(&a->rng, 4) ? min(a->n, 24u) : a->n;

	*n = 1 + rng_below(&a->rng, limit);
	*first = a->first + rng_below(&a->rng, a->n - *n + 1);
}

static void set_model(unsigned first, unsigned n, u8 rights, bool shared)
{
	for (unsigned p = first; p < first + n; p++)
		model[p] = (struct model_page){rights, shared, 0};
}

static bool all_mapped(unsigned first, unsigned n)
{
	for (unsigned p = first; p < first + n; p++)
		if (model[p].rights == HOLE)
			return false;
	return true;
}

static void check_page(unsigned p, bool rights_too)
{
	const struct model_page *m = &model[p];
	unsigned long addr = page_at(p);
	long read, wrote;

	if (m->rights >= RO && m->generation)
		stamp_check(addr, addr, m->generation, 0, 0);
	else if (m->rights >= RO)
		stamp_check_zero(addr);
	if (!rights_too)
		return;
	read = probe_read(addr);
	wrote = probe_write(addr + PAGE_SIZE - 16);
	CHECK_PAGE(page_at(p), !read == (m->rights >= RO),
		   "page %u has rights %u, a read answers %ld", p, m->rights, read);
	CHECK_PAGE(page_at(p), !wrote == (m->rights == RW),
		   "page %u has rights %u, a write answers %ld", p, m->rights, wrote);
}

static void op_map(struct arena *a, unsigned first, unsigned n)
{
	bool shared = rng_below(&a->rng, 4) == 0;
	int flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANON | MAP_FIXED;
	long ret;

	if (rng_below(&a->rng, 3) == 0)
		flags |= MAP_POPULATE;
	ret = sys_mmap(page_at(first), n * PAGE_SIZE, PROT_RW, flags, -1, 0);
	CHECK(ret == (long)page_at(first), "mmap answers %ld", ret);
	set_model(first, n, RW, shared);
}

static void op_unmap(struct arena *a __unused, unsigned first, unsigned n)
{
	CHECK(!sys_munmap(page_at(first), n * PAGE_SIZE), "munmap of %u pages", n);
	set_model(first, n, HOLE, false);
}

static void op_write(struct arena *a, unsigned first, unsigned n)
{
	a->generation++;
	for (unsigned p = first; p < first + n; p++) {
		if (model[p].rights != RW || (in_child && model[p].shared))
			continue;
		check_page(p, false);
		stamp_write(page_at(p), page_at(p), a->generation);
		model[p].generation = a->generation;
	}
}

static void op_protect(struct arena *a, unsigned first, unsigned n)
{
	static const int prot[] = {[NONE] = PROT_NONE, [RO] = PROT_READ, [RW] = PROT_RW};
	u8 rights = NONE + rng_below(&a->rng, 3);
	long ret = sys_mprotect(page_at(first), n * PAGE_SIZE, prot[rights]);

	if (!all_mapped(first, n)) {
		CHECK(ret == -ENOMEM, "mprotect over a hole answers %ld", ret);
		/*
		 * Linux changes what lies before the hole; ask for the same on all the pages again.
		 */
		for (unsigned p = first; p < first + n; p++)
			if (model[p].rights != HOLE)
				CHECK(!sys_mprotect(page_at(p), PAGE_SIZE, prot[rights]),
				      "mprotect");
	} else {
		CHECK(!ret, "mprotect answers %ld", ret);
	}
	for (unsigned p = first; p < first + n; p++)
		if (model[p].rights != HOLE)
			model[p].rights = rights;
}

static void op_dontneed(struct arena *a __unused, unsigned first, unsigned n)
{
	long ret = sys_madvise(page_at(first), n * PAGE_SIZE, MADV_DONTNEED);

	CHECK(ret == (all_mapped(first, n) ? 0 : -ENOMEM), "madvise answers %ld", ret);
	for (unsigned p = first; p < first + n; p++)
		if (!model[p].shared)
			model[p].generation = 0;
}

static void op_populate(struct arena *a, unsigned first, unsigned n)
{
	bool write = rng_below(&a->rng, 2);

	for (unsigned p = first; p < first + n; p++)
		if (model[p].rights < (write ? RW : RO))
			return;
	CHECK(!sys_madvise(page_at(first), n * PAGE_SIZE,
			   write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ),
	      "madvise");
}

/* Move away to the same place in the scratch area, and back: stamps keep their address. */
static void op_move(struct arena *a __unused, unsigned first, unsigned n)
{
	unsigned long to = scratch + first * PAGE_SIZE;
	size_t len = n * PAGE_SIZE;
	long ret;

	for (unsigned p = first; p < first + n; p++)
		if (model[p].rights != RW)
			return;
	ret = sys_mremap(page_at(first), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (ret == -EFAULT)
		return; /* several VMAs, which mremap does not move at once */
	CHECK(ret == (long)to, "mremap answers %ld", ret);
	CHECK(probe_read(page_at(first)) == -EFAULT, "what was moved away is still readable");
	ret = sys_mremap(to, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, page_at(first));
	CHECK(ret == (long)page_at(first), "mremap back answers %ld", ret);
}

/*
 * Fixed frames, in this range's place in the scratch area; where there is no such device, nothing.
 */
static void op_device(struct arena *a, unsigned first, unsigned n)
{
	unsigned frame = rng_below(&a->rng, FRAMES_COUNT - min(n, FRAMES_COUNT - 1u));
	size_t len = min(n, FRAMES_COUNT - 1u) * PAGE_SIZE;
	unsigned long at = scratch + first * PAGE_SIZE;
	long ret = sys_mmap(at, len, PROT_RW, MAP_SHARED | MAP_FIXED, FRAMES_FD, frame * PAGE_SIZE);

	if (ret == -EBADF)
		return;
	CHECK(ret == (long)at, "mapping frames answers %ld", ret);
	for (unsigned i = 0; i < len / PAGE_SIZE; i++)
		CHECK_PAGE(at + i * PAGE_SIZE, *(volatile u64 *)(at + i * PAGE_SIZE) == frame + i,
			   "frame %u", frame + i);
	CHECK(!sys_munmap(at, len), "munmap of frames");
}

static void op_fork(struct arena *a, unsigned first, unsigned n)
{
	int child = sys_fork();

	CHECK(child >= 0, "fork answers %d", child);
	if (child) {
		CHECK(wait_for(child) == 0, "child %d failed", child);
		return;
	}
	in_child = true;
	/* Only this thread's arena is certain: the others were interrupted anywhere. */
	for (unsigned p = a->first; p < a->first + a->n; p++)
		check_page(p, false);
	op_write(a, first, n);
	for (unsigned p = first; p < first + n; p++)
		check_page(p, false);
	sys_exit_group(0);
}

static void step(struct arena *a)
{
	static void (*const ops[])(struct arena * a, unsigned first, unsigned n) = {
		op_map,	     op_write, op_write,  op_write, op_protect, op_protect, op_dontneed,
		op_populate, op_move,  op_device, op_unmap, op_map,	op_write,
	};
	unsigned first, n;

	pick_range(a, &first, &n);
	if (rng_below(&a->rng, 24) == 0)
		op_fork(a, first, n);
	else
		ops[rng_below(&a->rng, ARRAY_SIZE(ops))](a, first, n);
	for (unsigned k = 0; k < 6; k++)
		check_page(a->first + rng_below(&a->rng, a->n), true);
}

static void thread_main(unsigned i)
{
	unsigned first = (u64)work.pages * i / work.threads;
	struct arena a = {
		.first = first,
		.n = (u64)work.pages * (i + 1) / work.threads - first,
		.rng = thread_rng(i, 0),
	};

	op_map(&a, a.first, a.n);
	/* From here on nobody asks the kernel for a place, so what is unmapped stays free. */
	barrier_wait(&barrier, work.threads);
	if (i == 0)
		CHECK(!sys_munmap(scratch, work.pages * PAGE_SIZE), "munmap");
	barrier_wait(&barrier, work.threads);
	for (u64 round = 0; round < work.rounds; round++) {
		step(&a);
		if (i == 0)
			progress(round + 1);
	}
	for (unsigned p = a.first; p < a.first + a.n; p++)
		check_page(p, true);
}

void program_main(void)
{
	CHECK(work.pages >= work.threads, "%u pages for %u threads", work.pages, work.threads);
	area = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	scratch = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	model = (struct model_page *)must_map(work.pages * sizeof(*model), MAP_PRIVATE);
	run_threads(work.threads, thread_main);
}
