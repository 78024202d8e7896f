/*
 * Which address space each CPU has loaded, and the invalidation of what its TLB holds.
 *
 * Each mm has a generation, which every invalidation raises, and each CPU remembers for each
 * address space that its TLB may hold up to which generation it has followed. So CPUs that run
 * something else are not interrupted: they flush when they return. With PCID a CPU keeps several
 * address spaces.
 */
#pragma once

#include "mm/mm.h"

/* Load @next on this CPU, or, if NULL, keep what is loaded without being told of its changes
 * (kernel threads touch no user memory). Interrupts off. */
void switch_mm(struct mm *next);

/*
 * Invalidate [start, end) of @mm wherever it is loaded. In a lazy section the section owes it, and
 * pays after its updates, at the latest in its leave; else it has happened on return.
 */
void flush_tlb_range(struct mm *mm, unsigned long start, unsigned long end);
/* The same, where tables that covered the range were unlinked and will be freed. */
void flush_tlb_tables(struct mm *mm, unsigned long start, unsigned long end);
/* flush_tlb_range() of the page at @addr. */
void flush_tlb_page(struct mm *mm, unsigned long addr);
/* flush_tlb_range() of all of @mm. */
void flush_tlb_mm(struct mm *mm);

/* The invalidation itself. Preemption off, interrupts on. */
void tlb_flush_now(struct tlb_flush *f);

/*
 * What backends make an invalidation of; preemption is off. The new entries are visible first. Then
 * the generation is raised, and only then it is seen which CPUs are concerned: one that comes later
 * finds the new generation.
 */
u64 tlb_new_generation(struct mm *mm);
/*
 * Fills @cpus with those that have f->mm loaded and must follow @f: idle ones only if tables go.
 * False: none.
 */
bool tlb_cpus_concerned(const struct tlb_flush *f, cpumask_t *cpus);
/* Invalidate by instructions here and by cross-calls there. Fills f->generation. */
void tlb_flush_by_call(struct tlb_flush *f);
/* Up to which generation this CPU's TLB has followed @mm, and that it now has. */
u64 tlb_followed_here(const struct mm *mm);
/* If this CPU has @mm loaded, its TLB has followed up to @generation. */
void tlb_follow_here(const struct mm *mm, u64 generation);

/* Make every CPU that still has @mm loaded load the kernel's tables instead. @mm has no users. */
void tlb_evict_mm(struct mm *mm);
/* A new @mm that nobody else knows: a context of its own, and generation 1. */
void tlb_init_mm(struct mm *mm);
/* On each CPU before its first switch_mm(): init_mm is loaded. */
void tlb_init_cpu(void);

/*
 * The boot parameter flush=: a range is invalidated page by page, up to TLB_FLUSH_EXACT_CEILING, so
 * that no whole flush hides a wrong one. Debug builds choose by the seed: exact, if it is odd.
 */
extern bool tlb_flush_exact;
