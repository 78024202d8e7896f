/*
 * What each frame is, and who refers to it: the rules that the software hypervisor holds, which are
 * Xen's (its docs/misc and asm-x86/mm.h describe them as type and reference counts).
 *
 *  - A frame is a page table of one level, or it may be mapped writable, never both. So making a
 * table of it fails while anything maps it writable, and mapping a table writable is refused.
 *  - An entry of level n links tables of level n - 1 only; a table that is linked stays one.
 *  - User mappings name frames of memory, and none of the hypervisor's own.
 *  - An entry that is not present names no frame of memory (L1TF).
 *  - The kernel's half of a user L4 table is the kernel's.
 *
 * Each table is read-only in the direct map: a store that bypasses the pv table faults. Other CPUs
 * may keep a writable translation of a page that has just become a table for a while; a store
 * through one goes unnoticed, the reverse is a spurious fault (kernel/process/page_fault.c).
 */
#include "pv/soft/soft.h"

#include "kernel/arch/io.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "mm/frame/early.h"
#include "mm/mm.h"

#define KERNEL_SLOT (PTRS_PER_TABLE / 2)
#define CR4_PGE BIT(7)
#define MAX_REPORTS 8

DEFINE_SPINLOCK(soft_lock, LOCK_HYPERVISOR);
struct soft_frame *soft_frames;
u64 soft_max_pfn;
void (*soft_entry_changed)(u64 table, unsigned index, u64 val);

static u64 root; /* the kernel's L4 */

static bool is_linking(u64 v)
{
	return (v & _PAGE_PRESENT) && !(v & _PAGE_PSE) && soft_frame_of(v) < soft_max_pfn;
}

static bool is_writing(u64 v)
{
	return (v & (_PAGE_PRESENT | _PAGE_RW)) == (_PAGE_PRESENT | _PAGE_RW) &&
	       soft_frame_of(v) < soft_max_pfn;
}

static const char *check_leaf(const struct soft_frame *table, u64 v) __must_hold(soft_lock)
{
	u64 frame = soft_frame_of(v);

	if (!(v & _PAGE_PRESENT))
		return (v & ~_PAGE_AD) && frame < soft_max_pfn
			       ? "it is not present and names a frame of memory"
			       : NULL;
	if (frame >= soft_max_pfn)
		return table->kernel ? NULL : "it names no frame of memory";
	if (soft_frames[frame].level == SOFT_OWN)
		return "it maps a frame of the hypervisor";
	if ((v & _PAGE_RW) && soft_frames[frame].level)
		return "it maps a page table writable";
	return NULL;
}

static const char *check_link(const struct soft_frame *table, unsigned index, u64 v)
	__must_hold(soft_lock)
{
	const struct soft_frame *below;

	if (table->level == 4 && index >= KERNEL_SLOT && !table->kernel)
		return "it is of the kernel's half";
	if (!(v & _PAGE_PRESENT))
		return v ? "it is not present and not empty" : NULL;
	if (soft_frame_of(v) >= soft_max_pfn || (v & _PAGE_PSE))
		return "it links no frame of memory";
	below = &soft_frames[soft_frame_of(v)];
	if (below->level != table->level - 1)
		return "it links what is no table of the next level";
	return below->kernel == table->kernel ? NULL : "it links a table of the other half";
}

static void count_reference(unsigned level, u64 v, int n) __must_hold(soft_lock)
{
	if (level == 1 && is_writing(v))
		soft_frames[soft_frame_of(v)].writable += n;
	else if (level > 1 && is_linking(v))
		soft_frames[soft_frame_of(v)].links += n;
}

static u64 store(u64 *entry, u64 val, bool keep_ad)
{
	u64 old = READ_ONCE(*entry);

	if (!keep_ad)
		return xchg(entry, val);
	while (!try_cmpxchg(entry, &old, val | (old & _PAGE_AD)))
		;
	return old;
}

const char *soft_change_entry(struct soft_change *c)
{
	u64 frame = c->maddr >> PAGE_SHIFT;
	unsigned index = (c->maddr & ~PAGE_MASK) / sizeof(u64);
	const struct soft_frame *table;
	const char *why;

	if (frame >= soft_max_pfn)
		return "its table lies beyond memory";
	table = &soft_frames[frame];
	if (!table->level || table->level > 4)
		return "its table is none";
	why = table->level == 1 ? check_leaf(table, c->val) : check_link(table, index, c->val);
	if (why)
		return why;
	count_reference(table->level, c->val, 1);
	c->old = store(soft_window(c->maddr), c->val, c->keep_ad);
	count_reference(table->level, c->old, -1);
	if (soft_entry_changed)
		soft_entry_changed(frame, index, READ_ONCE(*(u64 *)soft_window(c->maddr)));
	return NULL;
}

/* --- tables --- */

/* The entry that maps @frame in the direct map. */
static u64 *direct_map_entry(u64 frame)
{
	unsigned long va = DIRECT_MAP + (frame << PAGE_SHIFT);
	u64 *table = soft_table(root);

	for (int shift = PGD_SHIFT; shift > PAGE_SHIFT; shift -= 9) {
		u64 entry = table[va >> shift & (PTRS_PER_TABLE - 1)];

		BUG_ON(!(entry & _PAGE_PRESENT) || (entry & _PAGE_PSE));
		table = soft_table(soft_frame_of(entry));
	}
	return &table[va >> PAGE_SHIFT & (PTRS_PER_TABLE - 1)];
}

enum direct_map_right {
	READ_ONLY,
	WRITABLE,
};

static void set_writable(u64 frame, enum direct_map_right right) __must_hold(soft_lock)
{
	u64 *entry = direct_map_entry(frame);

	WRITE_ONCE(*entry, right == WRITABLE ? *entry | _PAGE_RW : *entry & ~_PAGE_RW);
	soft_frames[frame].writable += right == WRITABLE ? 1 : -1;
	__asm__ volatile("invlpg (%0)" : : "r"(DIRECT_MAP + (frame << PAGE_SHIFT)) : "memory");
}

void soft_own_frame(u64 frame)
{
	WRITE_ONCE(*direct_map_entry(frame), 0);
	soft_frames[frame].writable--;
	soft_frames[frame].level = SOFT_OWN;
}

/* What a table holds that becomes one; the kernel's half of an L4 must be the kernel's. */
static const char *check_contents(u64 frame, const struct soft_frame *f) __must_hold(soft_lock)
{
	const u64 *table = soft_table(frame);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		bool kernel_half = f->level == 4 && i >= KERNEL_SLOT;
		const char *why = NULL;

		if (kernel_half && table[i] != soft_table(root)[i])
			why = "its kernel half is not the kernel's";
		else if (f->level == 1)
			why = check_leaf(f, table[i]);
		else if (!kernel_half)
			why = check_link(f, i, table[i]);
		if (why)
			return why;
	}
	return NULL;
}

static void count_contents(u64 frame, unsigned level, int n) __must_hold(soft_lock)
{
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		count_reference(level, soft_table(frame)[i], n);
}

/* No table any more; what it holds is counted no more. */
static void end_table(u64 frame) __must_hold(soft_lock)
{
	soft_frames[frame].level = 0;
	soft_frames[frame].kernel = false;
	set_writable(frame, WRITABLE);
}

const char *soft_make_table(u64 frame, unsigned level, bool kernel)
{
	struct soft_frame *f = &soft_frames[frame];
	const char *why;

	if (f->level)
		return "it is a table already";
	if (f->writable != 1)
		return "something else than the direct map maps it writable";
	f->level = level;
	f->kernel = kernel;
	set_writable(frame, READ_ONLY);
	why = check_contents(frame, f);
	if (why)
		end_table(frame);
	else
		count_contents(frame, level, 1);
	return why;
}

const char *soft_unmake_table(u64 frame)
{
	struct soft_frame *f = &soft_frames[frame];

	if (!f->level || f->level > 4)
		return "it is no table";
	if (f->links)
		return "it is still linked";
	count_contents(frame, f->level, -1);
	end_table(frame);
	return NULL;
}

/* --- the beginning --- */

static void map_window(void)
{
	u64 *l4 = __va(root << PAGE_SHIFT), *l3 = early_alloc(PAGE_SIZE, PAGE_SIZE), *l2 = NULL;

	l4[SOFT_WINDOW >> PGD_SHIFT & (PTRS_PER_TABLE - 1)] = __pa(l3) | _KERNPG_TABLE;
	for (u64 pa = 0; pa < soft_max_pfn << PAGE_SHIFT; pa += PMD_SIZE) {
		if (!(pa & (PUD_SIZE - 1))) {
			l2 = early_alloc(PAGE_SIZE, PAGE_SIZE);
			l3[pa >> PUD_SHIFT] = __pa(l2) | _KERNPG_TABLE;
		}
		l2[pa >> PMD_SHIFT & (PTRS_PER_TABLE - 1)] = pa | _PAGE_KERNEL | _PAGE_PSE;
	}
}

/* Type a table of the kernel's and all below it. What maps no memory of ours is left alone. */
static void adopt(u64 frame, unsigned level) __must_hold(soft_lock)
{
	struct soft_frame *f = &soft_frames[frame];

	if (f->level)
		return;
	f->level = level;
	f->kernel = true;
	count_contents(frame, level, 1);
	for (unsigned i = 0; level > 1 && i < PTRS_PER_TABLE; i++)
		if (is_linking(soft_table(frame)[i]))
			adopt(soft_frame_of(soft_table(frame)[i]), level - 1);
}

/* Whatever maps a table writable, in the direct map or in the image, ceases to. */
static void protect_tables(u64 frame) __must_hold(soft_lock)
{
	u64 *table = soft_table(frame);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		if (!is_writing(table[i]) || !soft_frames[soft_frame_of(table[i])].level)
			continue;
		soft_frames[soft_frame_of(table[i])].writable--;
		WRITE_ONCE(table[i], table[i] & ~_PAGE_RW);
	}
}

void soft_flush_everything(void)
{
	write_cr4(read_cr4() &
		  ~CR4_PGE); /* Intel SDM vol. 3, 4.10.4.1: global entries and all PCIDs */
	write_cr4(read_cr4() | CR4_PGE);
}

void soft_frames_init(void)
{
	soft_max_pfn = early_max_pfn();
	if (soft_max_pfn << PAGE_SHIFT > PGD_SIZE)
		panic("hypervisor: its window is for %lu GiB of memory", PGD_SIZE >> 30);
	root = virt_to_pfn(init_mm.pgd).v;
	map_window();
	spin_lock_unfair(&soft_lock);
	soft_frames = early_alloc(soft_max_pfn * sizeof(*soft_frames), PAGE_SIZE);
	adopt(root, 4);
	for (u64 i = 0; i < soft_max_pfn; i++)
		if (soft_frames[i].level == 1)
			protect_tables(i);
	spin_unlock(&soft_lock);
	soft_flush_everything();
}

/* --- the audit --- */

static void find_references(u64 frame) __must_hold(soft_lock)
{
	unsigned level = soft_frames[frame].level;

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++) {
		u64 v = soft_table(frame)[i];

		if (level == 1 && is_writing(v))
			soft_frames[soft_frame_of(v)].found_writable++;
		else if (level > 1 && is_linking(v))
			soft_frames[soft_frame_of(v)].found_links++;
	}
}

unsigned soft_frames_audit(void)
{
	unsigned wrong = 0;

	for (u64 i = 0; i < soft_max_pfn; i++)
		soft_frames[i].found_writable = soft_frames[i].found_links = 0;
	for (u64 i = 0; i < soft_max_pfn; i++)
		if (soft_frames[i].level && soft_frames[i].level != SOFT_OWN)
			find_references(i);
	for (u64 i = 0; i < soft_max_pfn; i++) {
		const struct soft_frame *f = &soft_frames[i];

		if (f->writable == f->found_writable && f->links == f->found_links &&
		    !(f->level && f->writable))
			continue;
		if (wrong++ < MAX_REPORTS)
			printk("    # audit: frame %#lx of level %u: %u writable mappings and %u "
			       "links in the books, %u and %u in the tables\n",
			       i, f->level, f->writable, f->links, f->found_writable,
			       f->found_links);
	}
	return wrong;
}
