/*
 * snapshot: pages that are protected by a userfaultfd stand still while others write them.
 *
 * Thread 0 protects all pages against writes, looks at them, waits, and looks again: none has
 * changed, whatever the other threads have in their TLBs. Those write all the while and sleep in
 * the fault until the protection is taken away; then each page holds what its writer wrote last.
 * That is the oracle. The userfaultfd must have told of some write.
 */
#include "tests/user/judge/linux.h"
#include "tests/user/judge/uffd.h"

#define WAIT_US 2000 /* at most, between the two looks */
#define MAX_PAGES 256

static unsigned long region;
static int uffd;
static u32 stop;
static struct stamp seen[MAX_PAGES];
static u64 written[MAX_PAGES]; /* by the one thread that writes the page */

static unsigned long page_of(unsigned p)
{
	return region + p * PAGE_SIZE;
}

static void protect(bool on)
{
	struct protection p = {.start = region, .len = work.pages * PAGE_SIZE, .mode = on};
	long ret = ioctl(uffd, UFFDIO_WRITEPROTECT, &p);

	CHECK(!ret, "UFFDIO_WRITEPROTECT %u answers %ld", on, ret);
}

static void copy_stamp(struct stamp *to, unsigned long page)
{
	const volatile struct stamp *s = stamp_of(page);

	*to = (struct stamp){s->magic, s->address, s->generation, s->mm, s->writer, s->tail};
}

static void check_still(unsigned p)
{
	struct stamp now;

	copy_stamp(&now, page_of(p));
	CHECK_PAGE(page_of(p), !memcmp(&now, &seen[p], sizeof(now)),
		   "page %u was written while it was protected: generation %lu, now %lu", p,
		   seen[p].generation, now.generation);
}

/* How many writes the userfaultfd tells of. */
static unsigned hear(void)
{
	struct message m;
	unsigned n = 0;
	long ret;

	while ((ret = syscall3(SYS_read, uffd, &m, sizeof(m))) == sizeof(m)) {
		CHECK(m.event == EVENT_PAGEFAULT && m.flags & FAULT_WP, "event %#x, flags %#lx",
		      m.event, m.flags);
		CHECK(m.address - region < work.pages * PAGE_SIZE, "address %#lx", m.address);
		n++;
	}
	CHECK(ret == -EAGAIN, "read answers %ld", ret);
	return n;
}

static void look(void)
{
	unsigned told = 0;

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(0, round);

		protect(true);
		for (unsigned p = 0; p < work.pages; p++)
			copy_stamp(&seen[p], page_of(p));
		sleep_us(rng_below(&rng, WAIT_US));
		for (unsigned p = 0; p < work.pages; p++)
			check_still(p);
		told += hear();
		protect(false);
		sleep_us(rng_below(&rng, WAIT_US));
		progress(round + 1);
	}
	smp_store_release(&stop, 1);
	CHECK(told, "no write was ever told, so nothing was tested");
}

/* Of the pages each writer has every so manieth. */
static void write_pages(unsigned i)
{
	struct rng rng = thread_rng(i, 0);
	unsigned writers = work.threads - 1, own = work.pages / writers;

	while (!smp_load_acquire(&stop)) {
		unsigned p = rng_below(&rng, own) * writers + i - 1;

		stamp_check(page_of(p), page_of(p), written[p], 0, 0);
		stamp_write(page_of(p), page_of(p), ++written[p]);
		stamp_check(page_of(p), page_of(p), written[p], 0, 0);
	}
}

static void thread_main(unsigned i)
{
	if (i)
		write_pages(i);
	else
		look();
}

void program_main(void)
{
	CHECK(work.pages <= MAX_PAGES && work.threads > 1, "%u pages, %u threads", work.pages,
	      work.threads);
	region = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	uffd = uffd_open(O_NONBLOCK, FEATURE_WP, region, work.pages * PAGE_SIZE, REGISTER_WP);
	if (uffd < 0)
		skip("write-protection by userfaultfd");
	for (unsigned p = 0; p < work.pages; p++)
		stamp_write(page_of(p), page_of(p), 0);
	run_threads(work.threads, thread_main);
}
