/*
 * The frames of shadow tables: a fixed number of them, as a hypervisor has. When none is left, the
 * tables that were filled longest ago lose theirs; what a CPU still needs of them it faults in
 * again.
 *
 * A shadow that is taken is unlinked first, then every CPU forgets what it has walked, and only
 * then the frame can be used again. Shadows of L4 tables may be loaded and are never taken.
 *
 * Lock: soft_lock.
 */
#include "pv/soft/soft.h"

#include "kernel/counters.h"
#include "kernel/interrupt.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/string.h"
#include "mm/early.h"

#define POOL_MIN 96	      /* tables: the L4s of all processes of a stress suite, and more */
#define POOL_FRAMES_EACH 1024 /* and one for so many frames of memory */
#define RECLAIM_MAX 64

struct pool_entry {
	bool used;
	u64 guest;   /* the table that it shadows */
	u64 *parent; /* the entry that links it, or did; in the window */
};

static struct {
	struct pool_entry *entry;
	u64 first; /* frame */
	unsigned size, hand;
} pool __guarded_by(soft_lock);

static struct pool_entry *entry_of(u64 frame) __must_hold(soft_lock)
{
	BUG_ON(frame - pool.first >= pool.size);
	return &pool.entry[frame - pool.first];
}

void shadow_pool_init(void)
{
	unsigned size = POOL_MIN + early_max_pfn() / POOL_FRAMES_EACH;
	void *frames = early_alloc(size * PAGE_SIZE, PAGE_SIZE);

	spin_lock_unfair(&soft_lock);
	pool.size = size;
	pool.first = virt_to_pfn(frames).v;
	pool.entry = early_alloc(size * sizeof(*pool.entry), sizeof(u64));
	for (unsigned i = 0; i < size; i++)
		soft_own_frame(pool.first + i);
	spin_unlock(&soft_lock);
}

u64 shadow_pool_get(u64 guest)
{
	for (unsigned i = 0; i < pool.size; i++) {
		unsigned k = (pool.hand + i) % pool.size;

		if (pool.entry[k].used)
			continue;
		pool.entry[k] = (struct pool_entry){.used = true, .guest = guest};
		memset(soft_table(pool.first + k), 0, PAGE_SIZE);
		return pool.first + k;
	}
	return 0;
}

void shadow_pool_put(u64 frame)
{
	entry_of(frame)->used = false;
}

void shadow_pool_set_parent(u64 frame, u64 *entry)
{
	entry_of(frame)->parent = entry;
}

/* Unlink the shadow in @frame. Its parent may be another table's by now: then it links another. */
static void detach(u64 frame) __must_hold(soft_lock)
{
	struct pool_entry *e = entry_of(frame);

	if (e->parent && soft_frame_of(*e->parent) == frame)
		WRITE_ONCE(*e->parent, 0);
	soft_frames[e->guest].shadow = 0;
}

/* Unlink some, in the order of the hand; how many. */
static unsigned detach_some(u64 *frames, unsigned max_frames) __must_hold(soft_lock)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pool.size && n < max_frames; i++) {
		unsigned k = pool.hand++ % pool.size;
		struct pool_entry *e = &pool.entry[k];

		/* One that somebody else is reclaiming is no shadow any more. */
		if (!e->used || soft_frames[e->guest].level == 4 ||
		    soft_frames[e->guest].shadow != pool.first + k)
			continue;
		frames[n++] = pool.first + k;
		detach(pool.first + k);
	}
	return n;
}

static void forget_walks(void *unused __unused)
{
	soft_flush_everything();
}

void shadow_pool_reclaim(void)
{
	unsigned long flags = spin_lock_irqsave_unfair(&soft_lock);
	u64 frames[RECLAIM_MAX];
	unsigned n = detach_some(frames, min(pool.size / 8, (unsigned)RECLAIM_MAX));

	spin_unlock_irqrestore(&soft_lock, flags);
	if (!n)
		return;
	count_n(CNT_SHADOW_RECLAIMS, n);
	flags = local_irq_save();
	soft_flush_everything();
	local_irq_restore(flags);
	smp_call_mask(&cpu_online_mask, forget_walks, NULL);
	flags = spin_lock_irqsave_unfair(&soft_lock);
	for (unsigned i = 0; i < n; i++)
		shadow_pool_put(frames[i]);
	spin_unlock_irqrestore(&soft_lock, flags);
}
