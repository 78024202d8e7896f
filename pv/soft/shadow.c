/*
 * Shadow page tables: for user mode the CPU walks tables of the hypervisor's own, one for each of
 * the guest's that was used, which the guest never sees. This is VMI's model, the second case of
 * the patch of 2006. The kernel's half is the guest's own, read-only in the direct map.
 *
 *  - A shadow table follows one guest table entry by entry: entry i of the one is derived from
 * entry i of the other, or it is empty. It is linked by what shadows the tables above, with their
 * rights.
 *  - Each change of a guest's entry changes the shadow under the same lock. What is missing is
 * filled at the fault; a fault that the guest's own tables explain is the guest's.
 *  - The CPU sets A and D in the shadow, so an entry is present there only once A is set in the
 * guest's, and writable only once D is: the fault sets them. A guest that clears them takes the
 * shadow's away.
 *
 * The guest's invalidations serve the shadow too: it makes them for just the changes that need
 * them.
 *
 * A root, the shadow of an L4 table, is made when a CPU loads the table and it has none. So address
 * spaces that no CPU has loaded need no frame of the pool, and there may be any number of them.
 */
#include "pv/soft/soft.h"

#include "kernel/arch/irqflags.h"
#include "kernel/arch/ptregs.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "mm/mm.h"
#include "pv/native/native.h"

#define KERNEL_SLOT (PTRS_PER_TABLE / 2)
#define MAX_REPORTS 8
/*
 * One reclaim takes what a fault needs. It takes less while enough frames are free, and others may
 * use those first: then the next one finds them used, and takes what it needs.
 */
#define RECLAIMS_MAX 16

/*
 * The guest's L4 table that this CPU has loaded, 0: the kernel's, which has no shadow; and the one
 * that it is about to load. So while CR3 changes both are named. Who loads a root writes its name
 * here and then reads whether it has a shadow; who takes a root writes that it has none and then
 * reads the names: one of them sees the other. No lock, because each context switch comes by.
 */
static DEFINE_PER_CPU(u64, loaded_root);
static DEFINE_PER_CPU(u64, loading_root);

bool shadow_is_loaded(u64 guest)
{
	for_each_online_cpu(cpu)
		if (smp_load_acquire(per_cpu_ptr(loading_root, cpu)) == guest ||
		    smp_load_acquire(per_cpu_ptr(loaded_root, cpu)) == guest)
			return true;
	return false;
}

static u64 derive(u64 guest)
{
	if ((guest & (_PAGE_PRESENT | _PAGE_ACCESSED)) != (_PAGE_PRESENT | _PAGE_ACCESSED))
		return 0;
	return guest & _PAGE_DIRTY ? guest : guest & ~_PAGE_RW;
}

/* Not analysed: a hook, whose type cannot say that its callers hold soft_lock. */
static void shadow_entry_changed(u64 table, unsigned index, u64 val) __no_thread_safety
{
	const struct soft_frame *f = &soft_frames[table];

	if (f->shadow)
		WRITE_ONCE(soft_table(f->shadow)[index], f->level == 1 ? derive(val) : 0);
}

/* --- filling --- */

enum fill { FILL_NOTHING_TO_DO, FILL_DONE, FILL_NO_FRAME };

/* One way down: what has been found so far. */
struct walk {
	unsigned long addr, error;
	u64 guest;   /* table */
	u64 *shadow; /* its shadow */
	u64 rights;  /* the AND of all levels; NX inverted */
	bool changed;
};

static unsigned index_of(const struct walk *w, unsigned level)
{
	return w->addr >> (PAGE_SHIFT + 9 * (level - 1)) & (PTRS_PER_TABLE - 1);
}

static bool permits(const struct walk *w)
{
	if ((w->error & PF_USER) && !(w->rights & _PAGE_USER))
		return false;
	if ((w->error & PF_WRITE) && !(w->rights & _PAGE_RW))
		return false;
	return !(w->error & PF_INSTR) || (w->rights & _PAGE_NX);
}

/* Link the shadow of the table that @entry links, and go there. False: no frame for it. */
static bool descend(struct walk *w, unsigned index, u64 entry) __must_hold(soft_lock)
{
	struct soft_frame *below = &soft_frames[soft_frame_of(entry)];
	u64 link;

	if (!below->shadow)
		below->shadow = shadow_pool_get(soft_frame_of(entry));
	if (!below->shadow)
		return false;
	link = (u64)below->shadow << PAGE_SHIFT | (entry & PTE_FLAGS_MASK);
	if (w->shadow[index] != link) {
		WRITE_ONCE(w->shadow[index], link);
		shadow_pool_set_parent(below->shadow, &w->shadow[index]);
		w->changed = true;
	}
	w->guest = soft_frame_of(entry);
	w->shadow = soft_table(below->shadow);
	return true;
}

static void fill_leaf(struct walk *w, u64 *guest, u64 *shadow)
{
	u64 val = *guest | _PAGE_ACCESSED | (w->error & PF_WRITE ? _PAGE_DIRTY : 0);

	if (*guest == val && *shadow == derive(val))
		return;
	WRITE_ONCE(*guest, val);
	WRITE_ONCE(*shadow, derive(val));
	w->changed = true;
}

/* Make the shadow of w->addr permit what the guest's tables permit, if that is the access. */
static enum fill fill(struct walk *w) __must_hold(soft_lock)
{
	for (unsigned level = 4;; level--) {
		unsigned index = index_of(w, level);
		u64 *entry = &soft_table(w->guest)[index];

		if (!(*entry & _PAGE_PRESENT))
			return FILL_NOTHING_TO_DO;
		w->rights &= *entry ^ _PAGE_NX;
		if (level == 1) {
			if (permits(w))
				fill_leaf(w, entry, &w->shadow[index]);
			return w->changed && permits(w) ? FILL_DONE : FILL_NOTHING_TO_DO;
		}
		if (!descend(w, index, *entry))
			return FILL_NO_FRAME;
	}
}

/* With the frames of @r, if any, which go back to the pool first. */
static enum fill fill_address(unsigned long addr, unsigned long error, struct shadow_reclaim *r)
{
	u64 root = this_cpu_read(loaded_root);
	struct walk w = {.addr = addr, .error = error, .guest = root, .rights = ~0UL};
	enum fill result = FILL_NOTHING_TO_DO;

	spin_lock_unfair(&soft_lock);
	if (r)
		shadow_pool_put_all(r);
	if (root) {
		w.shadow = soft_table(soft_frames[root].shadow);
		result = fill(&w);
	}
	spin_unlock(&soft_lock);
	return result;
}

static void reclaim_with_interrupts(struct shadow_reclaim *r)
{
	preempt_disable();
	local_irq_enable();
	shadow_pool_reclaim(r);
	local_irq_disable();
	preempt_enable_no_resched();
}

/* Apart: the frames take half a KiB of stack. The task stays on this CPU. */
static __noinline enum fill reclaim_and_fill(unsigned long addr, unsigned long error)
{
	struct shadow_reclaim r;
	enum fill result;

	for (unsigned n = 0; n < RECLAIMS_MAX; n++) {
		reclaim_with_interrupts(&r);
		result = fill_address(addr, error, &r);
		if (result != FILL_NO_FRAME)
			return result;
	}
	shadow_pool_exhausted(addr, RECLAIMS_MAX);
}

/* The fault's context has interrupts off; a reclaim needs them, and so does its flush. */
static bool shadow_fix_fault(const struct pt_regs *regs, unsigned long addr)
{
	enum fill result;

	if (unlikely(smap_keeps_out(regs)))
		return false;
	result = fill_address(addr, regs->orig_ax, NULL);
	if (result == FILL_NO_FRAME) {
		if (!(regs->flags & FLAGS_IF) || in_interrupt())
			panic_regs(
				regs, addr,
				"hypervisor: no frame for the shadow of %#lx, and interrupts are "
				"off",
				addr);
		result = reclaim_and_fill(addr, regs->orig_ax);
		interrupt_return(regs); /* of those that came meanwhile */
	}
	if (result == FILL_DONE)
		count(CNT_SHADOW_FILLS);
	return result == FILL_DONE;
}

/* --- tables --- */

void shadow_forget_table(u64 frame)
{
	shadow_pool_drop(frame);
}

/* A root has the kernel's half, which never changes. */
static u64 root_of(u64 pgd) __must_hold(soft_lock)
{
	u64 root = soft_frames[pgd].shadow;

	if (root)
		return root;
	root = shadow_pool_get_root(pgd);
	memcpy(soft_table(root) + KERNEL_SLOT, soft_table(pgd) + KERNEL_SLOT,
	       KERNEL_SLOT * sizeof(u64));
	soft_frames[pgd].shadow = root;
	return root;
}

/*
 * The root of @pgd, which this CPU keeps from now on. Not analysed: the root is read without
 * soft_lock, after loading_root says that this CPU wants it.
 */
static u64 hold_root(u64 pgd) __no_thread_safety
{
	u64 root;

	xchg(this_cpu_ptr(loading_root), pgd);
	root = READ_ONCE(soft_frames[pgd].shadow);
	if (unlikely(!root)) {
		spin_lock_unfair(&soft_lock);
		root = root_of(pgd);
		spin_unlock(&soft_lock);
	}
	return root;
}

/*
 * Interrupts are off. Not analysed: as hold_root(); whether a table is the kernel's never changes
 * while it is one.
 */
static void shadow_load_pgd(struct mm *mm, u64 pgd, unsigned asid, bool flush) __no_thread_safety
{
	bool kernel = soft_frames[pgd].kernel;

	native_load_pgd(mm, kernel ? pgd : hold_root(pgd), asid, flush);
	smp_store_release(this_cpu_ptr(loaded_root), kernel ? 0 : pgd);
	smp_store_release(this_cpu_ptr(loading_root), 0UL);
}

/* --- the audit --- */

static bool is_right(unsigned level, u64 guest, u64 shadow) __must_hold(soft_lock)
{
	if (!shadow)
		return true;
	if (level == 1)
		return shadow == derive(guest);
	return (guest & _PAGE_PRESENT) &&
	       shadow == ((u64)soft_frames[soft_frame_of(guest)].shadow << PAGE_SHIFT |
			  (guest & PTE_FLAGS_MASK));
}

static unsigned audit_table(u64 frame, unsigned wrong) __must_hold(soft_lock)
{
	const struct soft_frame *f = &soft_frames[frame];
	const u64 *guest = soft_table(frame), *shadow = soft_table(f->shadow);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		bool kernel_half = f->level == 4 && i >= KERNEL_SLOT;

		if (kernel_half ? shadow[i] == guest[i] : is_right(f->level, guest[i], shadow[i]))
			continue;
		if (wrong++ < MAX_REPORTS)
			printk("    # audit: entry %u of the shadow of frame %#lx (level %u) is "
			       "%#lx, the guest's is %#lx\n",
			       i, frame, f->level, shadow[i], guest[i]);
	}
	return wrong;
}

unsigned shadow_audit(void)
{
	unsigned wrong = 0;

	for (u64 i = 0; i < soft_max_pfn; i++)
		if (soft_frames[i].shadow)
			wrong = audit_table(i, wrong);
	return wrong;
}

static void shadow_take_over(void)
{
	soft_frames_init();
	shadow_pool_init();
	soft_entry_changed = shadow_entry_changed;
}

void shadow_setup(void)
{
	deferred_setup();
	pv_ops.name = "shadow";
	pv_ops.mmu.take_over = shadow_take_over;
	pv_ops.mmu.load_pgd = shadow_load_pgd;
	pv_ops.mmu.fix_fault = shadow_fix_fault;
}
