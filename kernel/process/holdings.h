/*
 * What programs hold of the kernel, in sum: when all of them have ended, it is back.
 */
#pragma once

#include "kernel/lib/types.h"

struct holdings {
	/* Frames, by kind (mm/frame/page.h); those kept for later use apart. */
	s64 user, tables, kernel;
	s64 objects; /* of all caches of the slab allocator */
};

/* No lock: of others that take and give back meanwhile, some of it. */
struct holdings holdings_now(void);
/*
 * Wait until all is back that was there @before, a second at most. False, after a line for each
 * kind, if not, and if no user task is left to hold it; @who is named. The caller may sleep.
 */
bool holdings_are_back(const struct holdings *before, const char *who);
