/*
 * What programs hold of the kernel; see holdings.h. No locks.
 */
#include "kernel/process/holdings.h"

#include "kernel/debug/printk.h"
#include "kernel/process/process.h"
#include "kernel/sched/timeout.h"
#include "kernel/time/clock.h"
#include "mm/frame/page.h"
#include "mm/frame/slab.h"

#define LOOKS 1000
#define LOOK_NS 1000000UL

struct holdings holdings_now(void)
{
	return (struct holdings){
		.user = page_kind_count(PAGE_USER),
		.tables = page_kind_count(PAGE_TABLE),
		.kernel = page_kind_count(PAGE_KERNEL),
		.objects = kmem_objects(),
	};
}

static bool is_same(const struct holdings *a, const struct holdings *b)
{
	return a->user == b->user && a->tables == b->tables && a->kernel == b->kernel &&
	       a->objects == b->objects;
}

static void report(const char *who, const char *what, s64 before, s64 now)
{
	if (now != before)
		pr_err("holdings: after %s has ended, there are %ld %s more than before\n", who,
		       now - before, what);
}

bool holdings_are_back(const struct holdings *before, const char *who)
{
	struct holdings now = holdings_now();

	for (unsigned i = 0; i < LOOKS && !is_same(before, &now); i++) {
		sleep_until(clock_ns() + LOOK_NS);
		now = holdings_now();
	}
	if (is_same(before, &now) || user_task_count())
		return true;
	report(who, "pages", before->user, now.user);
	report(who, "page tables", before->tables, now.tables);
	report(who, "frames of the kernel's", before->kernel, now.kernel);
	report(who, "objects", before->objects, now.objects);
	return false;
}
