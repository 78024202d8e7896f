/*
 * Seeded bugs: what a lazy-MMU stress suite must catch, each one that a real kernel had or nearly
 * had. In a build with BUGS=1 the boot parameter bug=NAME breaks the kernel in one place; in any
 * other build seeded() is false and the code is gone.
 *
 * `./pteron list` shows this table, `./pteron mutants` runs it: each bug on its backends, with its
 * suites. Rows of the catalogue that this design makes impossible, and what makes them so:
 *
 *   a slot that is taken but not filled       interrupts neither queue nor issue (lazy_mmu.h)
 *   the result of a call that is shared       `done` lies on the stack of the call (pv/xen/mmu.c)
 *   a table read-only and not yet pinned      nobody can reach a table before it is linked
 *   a call that Xen continues, on another     such a call is made with preemption off, which
 *   vCPU (this kernel's history)              assert_may_continue() holds (pv/xen/hypercall.h)
 */
#pragma once

#include "kernel/compiler.h"
#include "kernel/types.h"

/* clang-format off */
/*        id                     name                     backends                      suites                       provenance */
#define SEEDED_BUGS(X)                                                                              \
	X(FLUSH_OTHER_CPU,       "flush-other-cpu",       "deferred shadow xen",        "preempt-everywhere,switch", "the queue is chosen, the task migrates, the queue is issued")                    \
	X(LEAVE_AFTER_UNLOCK,    "leave-after-unlock",    "native deferred shadow xen", "mprotect",                  "the rule of 2007, broken")                                                       \
	X(UNLOCK_IN_SECTION,     "unlock-in-section",     "deferred shadow xen",        "zap",                       "madvise's split path: the lock is dropped without a leave")                      \
	X(FLUSH_BEFORE_UPDATES,  "flush-before-updates",  "deferred shadow",            "stare",                     "the TLB is flushed, then the updates are made")                                  \
	X(FREE_BEFORE_FLUSH,     "free-before-flush",     "native deferred shadow xen", "zap",                       "a page is freed before its translations are gone")                               \
	X(RAW_READ,              "raw-read",              "deferred shadow xen",        "mremap",                    "KASAN vmalloc, 2025: an entry is read whose update is queued")                   \
	X(KERNEL_QUEUED,         "kernel-queued",         "deferred shadow xen",        "alloc",                     "vmalloc_fault, 2013: a kernel entry is queued and then used")                    \
	X(RETURN_IN_SECTION,     "return-in-section",     "deferred shadow xen",        "oom",                       "an early return without a leave")                                                \
	X(LOSES_DIRTY,           "loses-dirty",           "deferred shadow xen",        "lazy_mmu,zap",              "a plain store where A and D must be kept")                                       \
	X(NO_HARVEST,            "no-harvest",            "deferred shadow xen",        "dirty",                     "this kernel's: the D bit of a cleared entry is not harvested")                   \
	X(RESULT_IGNORED,        "result-ignored",        "deferred shadow xen",        "batch",                     "a refused update is taken for a done one")                                       \
	X(LAST_UPDATE_LOST,      "last-update-lost",      "deferred shadow xen",        "batch",                     "a capacity that is off by one")                                                  \
	X(COALESCE_OLDER,        "coalesce-older",        "deferred shadow xen",        "batch",                     "of two writes to one entry the older one wins")                                  \
	X(NO_RECHECK,            "no-recheck",            "native deferred shadow xen", "fault",                     "the fault handler does not look again under the lock")                           \
	X(SPURIOUS_IS_FATAL,     "spurious-is-fatal",     "native deferred shadow xen", "spurious,fault",            "a fault that finds everything in order kills the process")                       \
	X(CPUS_TOO_EARLY,        "cpus-too-early",        "native deferred shadow",     "stare",                     "the CPUs to flush are looked at before the new entries are visible")             \
	X(USER_L4_FORGOTTEN,     "user-l4-forgotten",     "xen",                        "usertable",                 "Xen PV: the L4 table of user mode does not follow")                              \
	X(BYPASS,                "bypass",                "deferred shadow xl",         "remap",                     "one site stores to a page table without the pv table")                           \
	X(FRAME_KEPT,            "frame-kept",            "native deferred shadow xen", "pgtable",                   "KFENCE, 2026: an entry that is not present names its frame")                     \
	X(NOBODY_WAITS,          "nobody-waits",          "native deferred shadow",     "zap,mix",                   "a shootdown is sent and not waited for")                                         \
	X(FLUSH_ONLY_HERE,       "flush-only-here",       "native deferred shadow xen", "stare",                     "Genode: a shootdown that reaches no other CPU")                                  \
	X(SITE_UNPATCHED,        "site-unpatched",        "native deferred shadow xen", "pv",                        "a call site is left as it was built")                                            \
	X(SHADOW_NOT_SYNCED,     "shadow-not-synced",     "shadow",                     "fault,zap",                 "VMI: the queue changes the guest's tables and not the shadow")                   \
	X(PROTECT_NO_FLUSH,      "protect-no-flush",      "native deferred",            "whole_table,tables",        "a table is write-protected by its L2 entry, and TLBs still write")               \
	X(SHARED_STAYS_OPEN,     "shared-stays-open",     "native deferred shadow xen", "whole_table,tables",        "a write-protection is pushed down, and shared pages stay writable")              \
	X(RESTORES_SHARED,       "restores-shared",       "native deferred shadow xen", "whole_table,tables",        "mprotect gives the L2 entry of a forked table its right to write back")          \
	X(CHILD_WRITES,          "child-writes",          "native deferred shadow xen", "whole_table,tables",        "a child's table is filled with entries that may write")                          \
	X(TABLE_FLUSH_SHORT,     "table-flush-short",     "native deferred shadow",     "whole_table,tables",        "this kernel's: a table goes with its pages, and one page is invalidated")        \
	X(TABLE_MOVE_NO_FLUSH,   "table-move-no-flush",   "native deferred shadow",     "whole_table,tables",        "a table is moved by its link, and TLBs still have the old place")                \
	X(MOVED_OPEN,            "moved-open",            "native deferred shadow xen", "whole_table",               "an entry leaves a write-protected table, and its right to write awakes")         \
	X(VMA_NO_WAIT,           "vma-no-wait",           "native deferred shadow xen", "vma_lock",                  "a layout changes under a fault that holds the VMA's lock")                       \
	X(VMA_COMES_BACK,        "vma-comes-back",        "native deferred shadow xen", "vma_lock",                  "a VMA that was unmapped serves faults that remember it")                         \
	X(FORK_RACES_FAULTS,     "fork-races-faults",     "native deferred shadow xen", "vma_lock",                  "fork holds mmap_lock, and faults no longer take it")                             \
	X(TAKEN_NO_FLUSH,        "taken-no-flush",        "native deferred shadow",     "whole_table,tables",        "a table is taken out to be moved, and TLBs still have it")                       \
	X(TAKES_NEIGHBOURS,      "takes-neighbours",      "native deferred shadow xen", "whole_table,tables",        "a table is moved with what other VMAs have in it")                               \
	X(CALL_PER_UPDATE,       "call-per-update",       "deferred shadow xen",        "batch",                     "cost: each update is issued alone")                                              \
	X(FLUSH_PER_PTE,         "flush-per-pte",         "native deferred shadow xen", "lazy_mmu",                  "cost: a section does not gather its invalidations")
/* clang-format on */

enum seeded_bug {
	BUG_NONE,
#define X(id, name, backends, suites, provenance) BUG_##id,
	SEEDED_BUGS(X)
#undef X
		NR_SEEDED_BUGS,
};

#ifdef CONFIG_BUGS
extern enum seeded_bug seeded_bug;
static inline bool seeded(enum seeded_bug bug)
{
	return unlikely(seeded_bug == bug);
}
#else
#define seeded(bug) false
#endif

/* Choose by name; false: there is none of that name, or not in this build. */
bool seeded_select(const char *name);
