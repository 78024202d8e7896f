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
	X(FLUSH_BEFORE_UPDATES,  "flush-before-updates",  "deferred shadow",            "stare",                     "the TLB is flushed, then the updates are made")                                  \
	X(LOSES_DIRTY,           "loses-dirty",           "deferred shadow xen",        "lazy_mmu,zap",              "a plain store where A and D must be kept")                                       \
	X(RESULT_IGNORED,        "result-ignored",        "deferred shadow xen",        "batch",                     "a refused update is taken for a done one")                                       \
	X(LAST_UPDATE_LOST,      "last-update-lost",      "deferred shadow xen",        "batch",                     "a capacity that is off by one")                                                  \
	X(COALESCE_OLDER,        "coalesce-older",        "deferred shadow xen",        "batch",                     "of two writes to one entry the older one wins")                                  \
	X(USER_L4_FORGOTTEN,     "user-l4-forgotten",     "xen",                        "usertable",                 "Xen PV: the L4 table of user mode does not follow")                              \
	X(NOBODY_WAITS,          "nobody-waits",          "native deferred shadow",     "zap,mix",                   "a shootdown is sent and not waited for")                                         \
	X(SITE_UNPATCHED,        "site-unpatched",        "native deferred shadow xen", "pv",                        "a call site is left as it was built")                                            \
	X(SHADOW_NOT_SYNCED,     "shadow-not-synced",     "shadow",                     "fault,zap",                 "VMI: the queue changes the guest's tables and not the shadow")                   \
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
