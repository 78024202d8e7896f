/*
 * The address spaces that one CPU's TLB holds under different PCIDs (Intel SDM vol. 3, 4.10.1), and
 * up to which generation of each it has followed. Pure bookkeeping: the host tests run it. Without
 * PCID there is one slot, and every change of address space flushes it.
 */
#pragma once

#include "kernel/lib/types.h"

#define NR_ASIDS 6 /* Linux's TLB_NR_DYN_ASIDS */

struct asid_set {
	unsigned count, active, victim;
	struct {
		u64 context, generation;
	} slot[NR_ASIDS];
};

static inline void asid_init(struct asid_set *s, unsigned count)
{
	*s = (struct asid_set){.count = count};
}

/*
 * Make @context current; true if what the TLB holds under its slot must be dropped because it is
 * older than @generation or belongs to somebody else. The slot follows @generation from now on.
 */
static inline bool asid_choose(struct asid_set *s, u64 context, u64 generation)
{
	bool flush = true;
	unsigned i;

	for (i = 0; i < s->count; i++)
		if (s->slot[i].context == context)
			break;
	if (i < s->count) {
		flush = s->slot[i].generation != generation || s->count == 1;
	} else {
		i = s->victim;
		s->victim = (s->victim + 1) % s->count;
	}
	s->active = i;
	s->slot[i].context = context;
	s->slot[i].generation = generation;
	return flush;
}
