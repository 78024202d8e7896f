/*
 * The free frames that no CPU has in its cache: a list for each CPU, so that CPUs that take and
 * give back frames at the same time do not wait for each other.
 *
 * Frames move in batches. A CPU takes from its own list; when that is empty, from another one,
 * several batches at once, of which the rest goes to its list. It gives back to its own, or, where
 * that has many more, to the others in turn. There is no other list: each CPU finds what is free.
 *
 * Preemption is off in all calls, and the caller holds no list's lock (LOCK_PAGE_ALLOC).
 */
#pragma once

#include "mm/frame/page.h"

#define FRAME_BATCH 32 /* frames at most */

/* A batch, linked by next_free, for this CPU; NULL: there is none on any list. */
struct page *frame_batch_take(void);
/* Put @batch, FRAME_BATCH free frames at most that are linked by next_free, on a list. */
void frame_batch_put(struct page *batch);
/* All CPUs are online, and have taken little: deal out what this one has. Boot. */
void frame_lists_share(void);
/* Audits: call @fn for each frame of each list. */
void frame_lists_for_each(void (*fn)(struct page *page));
