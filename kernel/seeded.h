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
	X(NOBODY_WAITS,          "nobody-waits",          "native deferred shadow",     "zap,mix",                   "a shootdown is sent and not waited for")
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
