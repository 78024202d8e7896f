/* What a TLB invalidation covers, and what an mm keeps of the TLBs that may hold it. */
#pragma once

#include "kernel/lib/cpumask.h"

struct mm;

#define TLB_FLUSH_ALL (~0UL)
/* More pages than this are invalidated as a whole: Linux's tlb_single_page_flush_ceiling. */
#define TLB_FLUSH_CEILING 33
/* With flush=exact: tables that are moved together. What spans more is mostly hole. */
#define TLB_FLUSH_EXACT_CEILING (16 * PTRS_PER_TABLE)

struct tlb_flush {
	struct mm *mm;
	unsigned long start, end; /* [start, end); end == TLB_FLUSH_ALL: everything */
	bool freed_tables;	  /* also from CPUs that have the mm loaded without using it */
	u64 generation;		  /* filled by the flush itself */
};

struct mm_tlb {
	u64 context;	       /* never reused, unlike the address of the mm */
	atomic64_t generation; /* of the page tables: each invalidation makes a new one */
	cpumask_t cpus;	       /* CPUs that have the mm loaded */
};
