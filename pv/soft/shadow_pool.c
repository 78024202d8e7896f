/*
 * The frames of shadow tables: a fixed number of them, as a hypervisor has. When none is left, the
 * tables that were filled longest ago lose theirs; what a CPU still needs of them it faults in
 * again.
 *
 * A shadow that is taken is unlinked first, then every CPU forgets what it has walked, and only
 * then the frame can be used again. A root, the shadow of an L4 table, is taken only while no CPU
 * has it loaded. Then no CPU reads it, and no flush is needed before its frame is used again: what
 * TLBs and walk caches hold under its address space names the tables below, which stay.
 *
 * Invariant: frames that are free, and roots, are together at least pool.reserve, two for each CPU.
 * A CPU that changes its address space has interrupts off and cannot wait for a flush. Each other
 * CPU keeps two roots at most, the one it has and the one it is about to load, and this CPU keeps
 * one; so among the reserve it finds a frame that is free, or a root that no CPU has loaded.
 *
 * What a reclaim has taken counts as neither. It belongs to the CPU that took it until that CPU has
 * filled what it missed, and each CPU takes no more than pool.quota. So the reclaims of all the
 * others leave a fault the frames that it needs.
 *
 * Lock: soft_lock.
 */
#include "pv/soft/soft.h"

#include "kernel/arch/irqflags.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/cpu/smp.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "mm/frame/early.h"

#define POOL_MIN 96	      /* tables: the L4s of all processes of a stress suite, and more */
#define POOL_CPU_MIN 10	      /* with many CPUs: so many for each */
#define POOL_FRAMES_EACH 1024 /* and one for so many frames of memory */

struct pool_entry {
	bool used, root;
	u64 guest;   /* the table that it shadows */
	u64 *parent; /* the entry that links it, or did; in the window */
};

static struct {
	struct pool_entry *entry;
	u64 first; /* frame */
	unsigned size, hand;
	unsigned nr_free, nr_roots;
	unsigned reserve; /* of frames that are free and roots: for CPUs that load a root */
	unsigned quota;	  /* of frames that one CPU's reclaim takes */
} pool __guarded_by(soft_lock);

static struct pool_entry *entry_of(u64 frame) __must_hold(soft_lock)
{
	BUG_ON(frame - pool.first >= pool.size);
	return &pool.entry[frame - pool.first];
}

/* An eighth of the pool, and of many CPUs all together half of it. */
static unsigned quota_of(unsigned size, unsigned cpus)
{
	return min(min(size / 8, size / (2 * cpus)), (unsigned)SHADOW_RECLAIM_MAX);
}

void shadow_pool_init(void)
{
	unsigned cpus = smp_possible_cpus();
	unsigned size =
		max((unsigned)POOL_MIN, POOL_CPU_MIN * cpus) + early_max_pfn() / POOL_FRAMES_EACH;
	void *frames = early_alloc(size * PAGE_SIZE, PAGE_SIZE);

	spin_lock_unfair(&soft_lock);
	pool.size = pool.nr_free = size;
	pool.reserve = 2 * cpus;
	pool.quota = quota_of(size, cpus);
	/* When all others have reclaimed, a fault finds what it needs. */
	BUG_ON(pool.quota < SHADOW_FILL_MAX ||
	       pool.reserve + (cpus - 1) * pool.quota + SHADOW_FILL_MAX > size);
	pool.first = virt_to_pfn(frames).v;
	pool.entry = early_alloc(size * sizeof(*pool.entry), sizeof(u64));
	for (unsigned i = 0; i < size; i++)
		soft_own_frame(pool.first + i);
	spin_unlock(&soft_lock);
}

/* The shadow in entry @k is in use; not one that somebody else is reclaiming. */
static bool is_shadow(unsigned k) __must_hold(soft_lock)
{
	const struct pool_entry *e = &pool.entry[k];

	return e->used && soft_frames[e->guest].shadow == pool.first + k;
}

static bool is_idle_root(unsigned k) __must_hold(soft_lock)
{
	return pool.entry[k].root && is_shadow(k) && !shadow_is_loaded(pool.entry[k].guest);
}

/* A frame more may go to a table, or to a reclaim. */
static bool exceeds_reserve(void) __must_hold(soft_lock)
{
	return pool.nr_free + pool.nr_roots > pool.reserve;
}

static void assert_reserve(void) __must_hold(soft_lock)
{
	ASSERT(pool.nr_free + pool.nr_roots >= pool.reserve);
}

static u64 use_frame(unsigned k, u64 guest, bool root) __must_hold(soft_lock)
{
	pool.entry[k] = (struct pool_entry){.used = true, .root = root, .guest = guest};
	pool.nr_free--;
	pool.nr_roots += root;
	assert_reserve();
	memset(soft_table(pool.first + k), 0, PAGE_SIZE);
	return pool.first + k;
}

/* The first free frame from the hand on. There is one. */
static u64 use_free_frame(u64 guest, bool root) __must_hold(soft_lock)
{
	for (unsigned i = 0; i < pool.size; i++)
		if (!pool.entry[(pool.hand + i) % pool.size].used)
			return use_frame((pool.hand + i) % pool.size, guest, root);
	panic("hypervisor: none of %u frames is free, of which %u are said to be", pool.size,
	      pool.nr_free);
}

u64 shadow_pool_get(u64 guest)
{
	if (!pool.nr_free || !exceeds_reserve())
		return 0;
	return use_free_frame(guest, false);
}

/* The shadow in @frame is one no more; the frame is not free yet. */
static void forget_shadow(u64 frame) __must_hold(soft_lock)
{
	struct pool_entry *e = entry_of(frame);

	pool.nr_roots -= e->root;
	soft_frames[e->guest].shadow = 0;
}

void shadow_pool_put(u64 frame)
{
	struct pool_entry *e = entry_of(frame);

	BUG_ON(!e->used);
	e->used = false;
	pool.nr_free++;
}

void shadow_pool_drop(u64 guest)
{
	u64 frame = soft_frames[guest].shadow;

	if (!frame)
		return;
	BUG_ON(shadow_is_loaded(guest));
	forget_shadow(frame);
	shadow_pool_put(frame);
}

/* The root in entry @k is one no more, unless a CPU has it, or is about to. */
static bool detach_root(unsigned k) __must_hold(soft_lock)
{
	u64 guest = pool.entry[k].guest;

	if (!is_idle_root(k))
		return false;
	xchg(&soft_frames[guest].shadow, 0);
	if (shadow_is_loaded(guest)) {
		WRITE_ONCE(soft_frames[guest].shadow, pool.first + k);
		return false;
	}
	pool.nr_roots--;
	return true;
}

/* Take the root that an address space has which no CPU has loaded. */
static void take_idle_root(void) __must_hold(soft_lock)
{
	for (unsigned i = 0; i < pool.size; i++) {
		unsigned k = pool.hand++ % pool.size;

		if (!detach_root(k))
			continue;
		count(CNT_SHADOW_RECLAIMS);
		shadow_pool_put(pool.first + k);
		return;
	}
	panic("hypervisor: no frame for a root: of %u frames %u are free and %u are roots, all "
	      "loaded, with %u CPUs",
	      pool.size, pool.nr_free, pool.nr_roots, cpumask_weight(&cpu_online_mask));
}

u64 shadow_pool_get_root(u64 guest)
{
	if (!pool.nr_free)
		take_idle_root();
	return use_free_frame(guest, true);
}

void shadow_pool_set_parent(u64 frame, u64 *entry)
{
	entry_of(frame)->parent = entry;
}

/* Unlink the shadow in @frame. Its parent may be another table's by now: then it links another. */
static void unlink_shadow(u64 frame) __must_hold(soft_lock)
{
	struct pool_entry *e = entry_of(frame);

	if (e->parent && soft_frame_of(*e->parent) == frame)
		WRITE_ONCE(*e->parent, 0);
	forget_shadow(frame);
}

/* The shadow in entry @k is one no more; false if it is to stay. */
static bool detach_entry(unsigned k) __must_hold(soft_lock)
{
	if (pool.entry[k].root)
		return exceeds_reserve() && detach_root(k);
	if (!is_shadow(k))
		return false;
	unlink_shadow(pool.first + k);
	return true;
}

/* Unlink some, in the order of the hand. */
static void detach_some(struct shadow_reclaim *r) __must_hold(soft_lock)
{
	for (unsigned i = 0; i < pool.size && r->n < pool.quota; i++) {
		unsigned k = pool.hand++ % pool.size;

		if (detach_entry(k))
			r->frame[r->n++] = pool.first + k;
	}
	assert_reserve();
}

static void forget_walks(void *unused __unused)
{
	soft_flush_everything();
}

void shadow_pool_reclaim(struct shadow_reclaim *r)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);

	r->n = 0;
	detach_some(r);
	spin_unlock_irqrestore(&soft_lock, flags);
	if (!r->n)
		return;
	count_n(CNT_SHADOW_RECLAIMS, r->n);
	flags = local_irq_save();
	soft_flush_everything();
	local_irq_restore(flags);
	smp_call_mask(&cpu_online_mask, forget_walks, NULL);
}

void shadow_pool_put_all(struct shadow_reclaim *r)
{
	while (r->n)
		shadow_pool_put(r->frame[--r->n]);
}

/* Not analysed: a panic reads the numbers without soft_lock. */
void shadow_pool_exhausted(unsigned long addr, unsigned reclaims) __no_thread_safety
{
	panic("hypervisor: no frame for the shadow of %#lx after %u reclaims: of %u frames %u are "
	      "free and %u are roots, with %u CPUs",
	      addr, reclaims, pool.size, pool.nr_free, pool.nr_roots,
	      cpumask_weight(&cpu_online_mask));
}
