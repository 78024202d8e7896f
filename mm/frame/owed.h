/*
 * Which invalidations a task owes: the ledger that debug builds keep of every entry that a TLB may
 * know better than the tables do.
 *
 * The pv table's wrappers report each change of an entry, of any level. Where it takes something
 * away (the right to read, write or execute, or the frame) the ledger of the task gets the
 * addresses; where a table is unlinked, also that CPUs which only have it loaded must forget it. An
 * invalidation settles what its range covers, once it has been carried out. Addresses come from the
 * tables themselves (`covers` of struct page, which each link sets), not from what callers say.
 *
 * The rules, each of which is an assertion where it stands:
 *
 *  - When a PTE page is unlocked nothing is owed, and after the leave of a section neither. So who
 *    finds an entry narrowed, under its lock, may return as if the invalidation were its own: it
 * has happened. (Linux, which flushes behind the unlock, needed a count for that in 2017: commit
 *    16af97dc5a89, "TLB flush batching race".) mmu_gather is no exception: it frees later, and
 *    flushes under the lock.
 *  - Tables that were unlinked are invalidated before mmap_lock is given back or downgraded: their
 *    addresses are out of reach of everybody who would look, until then.
 *  - No page and no table is given back by a task that owes anything, and none becomes plain
 * memory.
 *  - The end of a task owes nothing.
 *  - Where several threads use an mm, no entry gets another frame while what it held is owed: one
 *    could write the new page and another read the old (golang/go issue 34988, FreeBSD D14347).
 *
 * An mm that no CPU has loaded, and that none will, owes nothing; nor do tables without a link.
 * Kernel mappings are never narrowed. In interrupts nothing is recorded, since they change nothing.
 *
 * No locks: the ledger is its task's own; preemption is off while it changes, because a switch
 * issues the queue, which settles.
 */
#pragma once

#include "mm/types/owed_types.h"

#ifdef CONFIG_DEBUG
/* @f has been carried out on every CPU that it concerns. */
void owed_settle(const struct tlb_flush *f);
/* No CPU has @mm loaded, and none will have. */
void owed_forget(const struct mm *mm);
/* Panics, and says what is owed and by whom; @where completes "... while ... is owed". */
void owed_assert_nothing(const char *where);
/* Links belong to page_table_lock, or to who makes an mm that nobody else knows. */
bool links_may_change(const struct mm *mm);
#else
static inline void owed_settle(const struct tlb_flush *f __unused) {}
static inline void owed_forget(const struct mm *mm __unused) {}
static inline void owed_assert_nothing(const char *where __unused) {}
#endif
