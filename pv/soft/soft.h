/*
 * The software hypervisor: a part of the kernel's image that plays the hypervisor on plain QEMU. It
 * owns the page tables as Xen does. The guest sees them read-only, hands updates to it in batches,
 * and each is validated before it is carried out. Two backends use it:
 *
 *   deferred   the CPU walks the guest's tables, which only this code writes
 *   shadow     the CPU walks tables of this code's own, which follow the guest's: shadow.c
 *
 *   frames.c       what each frame is, and who refers to it: the rules
 *   hypervisor.c   the calls: batches, their interruptions and refusals; the entries of the pv
 * table shadow.c       the shadow tables; shadow_pool.c: their frames, and their reclaim
 *
 * Lock: soft_lock guards all of it; it is taken with interrupts off, a part of a batch at a time,
 * and without turns (spin_lock_unfair()): all of the guest's CPUs want it.
 */
#pragma once

#include "kernel/sync/spinlock.h"
#include "mm/types/addr.h"
#include "mm/types/pgtable_types.h"

#define SOFT_OWN 7 /* the level of a frame that is the hypervisor's own */

struct soft_frame {
	u32 writable; /* entries that map it writable, that of the direct map included */
	u32 links;    /* entries of the next level that link it, if it is a table */
	u32 found_writable, found_links; /* the audit's own count */
	u32 shadow;			 /* a guest's table: the frame of its shadow, or 0 */
	u8 level;			 /* 1-4: a page table; 0: not one */
	bool kernel;			 /* a table of the kernel's half */
};

/* A change of one entry, as asked for; then what it was. */
struct soft_change {
	u64 maddr; /* of the entry */
	u64 val;
	bool keep_ad; /* A and D as the CPU left them */
	u64 old;
};

extern struct spinlock soft_lock;
extern struct soft_frame *soft_frames __guarded_by(soft_lock); /* by frame number */
extern u64 soft_max_pfn;
/* Called after each change of an entry of a guest's table; NULL for none. */
extern void (*soft_entry_changed)(u64 table, unsigned index, u64 val);

/* A second, writable mapping of all memory, which only the hypervisor uses. */
static inline void *soft_window(u64 maddr)
{
	return (void *)(SOFT_WINDOW + maddr);
}

static inline u64 *soft_table(u64 frame)
{
	return soft_window(frame << PAGE_SHIFT);
}

static inline u64 soft_frame_of(u64 entry)
{
	return (entry & PTE_MFN_MASK) >> PAGE_SHIFT;
}

/* At boot, one CPU: take the tables of the kernel over. */
void soft_frames_init(void);
/* At boot: @frame is the hypervisor's; the direct map has it no more. */
void soft_own_frame(u64 frame) __must_hold(soft_lock);
/* NULL, or why it is refused; then nothing has changed. */
const char *soft_change_entry(struct soft_change *c) __must_hold(soft_lock);
/* @frame becomes a table of @level with what it holds; NULL, or why it cannot. */
const char *soft_make_table(u64 frame, unsigned level, bool kernel) __must_hold(soft_lock);
/* @frame, a table that nothing links, becomes plain memory; NULL, or why it cannot. */
const char *soft_unmake_table(u64 frame) __must_hold(soft_lock);
/* Drop all that this CPU's TLB holds, of every address space. Interrupts off. */
void soft_flush_everything(void);
/* Count again what the books say; how often they are wrong, each of which is printed. */
unsigned soft_frames_audit(void) __must_hold(soft_lock);

/* shadow.c */
/*
 * Compare each shadow with what the guest's table says; how many entries are wrong, each of which
 * is printed.
 */
unsigned shadow_audit(void) __must_hold(soft_lock);
/* The guest's table @frame ceases to be one. */
void shadow_forget_table(u64 frame) __must_hold(soft_lock);
/* True if some CPU has the guest's L4 table @guest loaded. */
bool shadow_is_loaded(u64 guest) __must_hold(soft_lock);

/* shadow_pool.c */
#define SHADOW_RECLAIM_MAX 64
#define SHADOW_FILL_MAX 3 /* frames that one fault can need: for the levels below the root */

/* Frames that were taken from their tables, and that no CPU can reach any more. */
struct shadow_reclaim {
	unsigned n;
	u64 frame[SHADOW_RECLAIM_MAX];
};

/* At boot, one CPU: boot memory for the pool, by the number of CPUs and the size of the memory. */
void shadow_pool_init(void);
/* A cleared frame for the shadow of @guest's table, below a root; 0: a reclaim must come first. */
u64 shadow_pool_get(u64 guest) __must_hold(soft_lock);
/* The same for an L4 table. There is always one: a root that no CPU has loaded goes for it. */
u64 shadow_pool_get_root(u64 guest) __must_hold(soft_lock);
/* @frame is free again; whoever puts it back knows that no CPU can reach it. */
void shadow_pool_put(u64 frame) __must_hold(soft_lock);
/* @guest's table ceases to be one: its shadow, if any, goes. No CPU can reach it. */
void shadow_pool_drop(u64 guest) __must_hold(soft_lock);
/* The entry that links @frame, so that a reclaim finds it. */
void shadow_pool_set_parent(u64 frame, u64 *entry) __must_hold(soft_lock);
/*
 * Take frames, SHADOW_FILL_MAX at least, from tables that were filled long ago, and from roots that
 * no CPU has loaded. Fewer only if so many others are free. They are the caller's until it puts
 * them back. Interrupts on, preemption off.
 */
void shadow_pool_reclaim(struct shadow_reclaim *r) __excludes(soft_lock);
/* The frames of @r are free again, and @r is empty. */
void shadow_pool_put_all(struct shadow_reclaim *r) __must_hold(soft_lock);
/* Panic: say what the pool holds. */
void shadow_pool_exhausted(unsigned long addr, unsigned reclaims) __noreturn;

/* At boot, before patching: the pv table becomes that of the backend `deferred`. */
void deferred_setup(void);
/* The same of `shadow`, which is `deferred` with tables of its own for the CPU. */
void shadow_setup(void);
