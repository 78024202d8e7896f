/* What a task's ledger of owed invalidations consists of; the rules are in mm/frame/owed.h. */
#pragma once

#include "mm/types/pgtable_types.h"
#include "mm/types/tlb_types.h"

/* A task holds two PTE pages at most, and of what it unlocks it owes nothing. */
#define OWED_BLOCKS 4
#define OWED_SPANS 8

/* Pages of one PTE page, bit by bit: fork and mprotect leave out some, and flush around these. */
struct owed_block {
	const struct mm *mm; /* whose; NULL: a free slot */
	unsigned long start;
	u64 pages[8];
	unsigned long by; /* who took the last one away */
};

/* Whole tables. */
struct owed_span {
	const struct mm *mm; /* whose; NULL: a free slot */
	unsigned long start, end;
	unsigned long by; /* who took it away */
};

struct owed {
	struct owed_block block[OWED_BLOCKS];
	struct owed_span span[OWED_SPANS];
	const struct mm *tables; /* tables of this mm were unlinked */
	/* What the entries of a change of tables were, while it is made. */
	u64 old[TABLE_CHANGES_MAX];
};
