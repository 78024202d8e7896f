/*
 * One function for each rule of the kernel that ends in a panic (or, for the last two, in silence):
 * it breaks the rule. tests/system/test_panics.py boots with panic=NAME and expects the report that
 * the rule's check prints. A check that has rotted lets its function return.
 *
 * Not analysed: these functions break the rules that the analysis holds.
 */
#include "tests/panics.h"

#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/entry/uaccess.h"
#include "kernel/lib/string.h"
#include "kernel/process/process.h"
#include "kernel/sched/sched.h"
#include "mm/frame/slab.h"
#include "mm/lazy/batch.h"
#include "mm/lazy/lazy_mmu.h"
#include "mm/lazy/tlb.h"
#include "mm/range/mmu_gather.h"
#include "mm/range/whole_table.h"
#include "mm/range/zap.h"
#include "mm/layout/layout.h"
#include "mm/space/mmap.h"
#include "mm/table/tables.h"
#include "mm/vma/mmap_lock.h"
#include "mm/vma/vma_alloc.h"
#include "tests/unit/lib/test_mm.h"

#define ADDR 0x40000000UL

extern char __text_start[];

static DEFINE_SPINLOCK(low_lock, LOCK_TEST);
static DEFINE_SPINLOCK(irq_lock, LOCK_TEST_IRQ);
static struct spinlock other_ptl = SPINLOCK_INIT(LOCK_PTE);

static void null_read(void)
{
	volatile unsigned long null = 0x18;

	(void)*(volatile u64 *)null;
}

static void write_text(void)
{
	*(volatile char *)__text_start = 0;
}

static void write_text_through_direct_map(void)
{
	*(volatile char *)__va(__pa_symbol(__text_start)) = 0;
}

static void execute_data(void)
{
	static u8 code[] = {0xc3};

	((void (*)(void))(unsigned long)code)();
}

static unsigned recurse(unsigned depth)
{
	volatile char frame[512];

	memset((char *)frame, depth, sizeof(frame));
	return depth == ~0u ? 0 : recurse(depth + 1) + frame[depth % sizeof(frame)];
}

static void stack_overflow(void)
{
	recurse(0);
}

/* Kernel code that touches user memory without a user copy. */
static void user_access(void)
{
	struct mm *mm = test_mm_enter();
	long m =
		do_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);

	(void)*(volatile u64 *)m;
	(void)mm;
}

static void lock_order(void) __no_thread_safety
{
	unsigned long flags = spin_lock_irqsave(&irq_lock);

	spin_lock(&low_lock);
	(void)flags;
}

static void lock_twice(void) __no_thread_safety
{
	spin_lock(&low_lock);
	spin_lock(&low_lock);
}

static void lock_not_owned(void) __no_thread_safety
{
	spin_unlock(&low_lock);
}

static void lock_irq_unsafe(void) __no_thread_safety
{
	spin_lock(&irq_lock);
}

static void sleep_with_lock(void) __no_thread_safety
{
	spin_lock_preemptible(&other_ptl, 0);
	sched_yield();
}

/* --- rules of the lazy section --- */

static pte_t *locked_entry(struct mm **mm, struct spinlock **ptl) __no_thread_safety
{
	*mm = test_mm_enter();
	return pte_offset_map_lock(test_pte_page(*mm, ADDR), ADDR, ptl);
}

static void enter_unlocked(void) __no_thread_safety
{
	arch_enter_lazy_mmu_mode();
}

static void leave_unlocked(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = locked_entry(&mm, &ptl);
	lazy_mmu_state_t s = arch_enter_lazy_mmu_mode();

	pte_unmap_unlock(ptep, ptl);
	arch_leave_lazy_mmu_mode(s);
}

static void unlock_queued(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = locked_entry(&mm, &ptl);

	arch_enter_lazy_mmu_mode();
	preempt_disable();
	flush_tlb_page(mm, ADDR);
	pte_unmap_unlock(ptep, ptl);
}

static void read_hazard(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = locked_entry(&mm, &ptl);

	arch_enter_lazy_mmu_mode();
	preempt_disable();
	set_pte_at(mm, ADDR, ptep, (pte_t){_PAGE_SPECIAL});
	(void)ptep_get(ptep);
}

static void read_of_no_table(void)
{
	struct page *page = alloc_page_zeroed(PAGE_USER);

	BUG_ON(!page);
	put_page(page);
	(void)ptep_get(page_to_virt(page));
}

static void leave_twice(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	lazy_mmu_state_t s;

	locked_entry(&mm, &ptl);
	s = arch_enter_lazy_mmu_mode();
	arch_leave_lazy_mmu_mode(s);
	arch_leave_lazy_mmu_mode(s);
}

static void resume_without_pause(void)
{
	lazy_mmu_mode_resume();
}

static void lazy_at_exit(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = locked_entry(&mm, &ptl);

	arch_enter_lazy_mmu_mode();
	pte_unmap_unlock(ptep, ptl);
	lazy_mmu_assert_clean();
}

static void lazy_queue_at_exit(void)
{
	struct mm *mm = test_mm_enter();

	preempt_disable();
	batch_owe_flush(&(struct tlb_flush){.mm = mm, .start = ADDR, .end = ADDR + PAGE_SIZE});
	lazy_mmu_assert_clean();
}

static void lock_at_exit(void)
{
	spin_lock_preemptible(&other_ptl, 0);
	task_exit();
}

static void fault_in_section(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	long m;
	u32 v;

	mm = test_mm_enter();
	m = do_mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	pte_offset_map_lock(test_pte_page(mm, m), m, &ptl);
	arch_enter_lazy_mmu_mode();
	get_user32(m, &v);
}

static void kernel_map_in_section(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;

	locked_entry(&mm, &ptl);
	arch_enter_lazy_mmu_mode();
	kernel_map(KSTACK_AREA, pfn(1), (pgprot_t){_PAGE_KERNEL});
}

/* --- owed invalidations: mm/frame/owed.h --- */

/* A page is mapped at ADDR, and its PTE page locked. */
static pte_t *map_locked(struct mm **mm, struct spinlock **ptl) __no_thread_safety
{
	struct page *page = alloc_page(PAGE_USER);
	pte_t *ptep;

	*mm = test_mm_enter();
	ptep = pte_offset_map_lock(test_pte_page(*mm, ADDR), ADDR, ptl);
	set_pte_at(*mm, ADDR, ptep, mk_pte(page, vm_page_prot(VM_READ | VM_WRITE)));
	return ptep;
}

static void unlock_owed(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = map_locked(&mm, &ptl);

	ptep_modify_prot_commit(mm, ADDR, ptep, pte_wrprotect(ptep_get(ptep)));
	pte_unmap_unlock(ptep, ptl);
}

/* The section pays for another page than the one that it clears. */
static void leave_owed(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = map_locked(&mm, &ptl);
	lazy_mmu_state_t s = arch_enter_lazy_mmu_mode();

	ptep_get_and_clear(mm, ADDR, ptep);
	flush_tlb_page(mm, ADDR + PAGE_SIZE);
	arch_leave_lazy_mmu_mode(s);
}

static void unlink_owed(void)
{
	struct mm *mm = test_mm_enter();
	pmd_t *pmd = test_pte_page(mm, ADDR);

	mmap_write_lock(mm);
	spin_lock(&mm->page_table_lock);
	pv_set_tables(&(struct table_change){pmd, 0}, 1);
	spin_unlock(&mm->page_table_lock);
	mmap_write_unlock(mm);
}

static void put_owed(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = map_locked(&mm, &ptl);

	put_page(pte_page(ptep_get_and_clear(mm, ADDR, ptep)));
}

/* The entry changes its frame in one step, and another thread may know the old one. */
static void swing_owed(void) __no_thread_safety
{
	struct spinlock *ptl;
	struct mm *mm;
	pte_t *ptep = map_locked(&mm, &ptl);

	atomic_set(&mm->users, 2);
	set_pte_at(mm, ADDR, ptep, mk_pte(alloc_page(PAGE_USER), vm_page_prot(VM_READ)));
}

/* --- locks that the comments ask for, and links --- */

static void change_unlocked(void) __no_thread_safety
{
	struct mm *mm = test_mm_enter();

	set_pte_at(mm, ADDR, pte_offset(*test_pte_page(mm, ADDR), ADDR), test_value(1));
}

static void push_down_unlocked(void)
{
	struct mm *mm = test_mm_enter();
	const struct vma vma = {.mm = mm, .start = ADDR, .end = ADDR + PAGE_SIZE};

	pmd_push_down(&vma, test_pte_page(mm, ADDR), ADDR);
}

static void move_as_reader(void) __no_thread_safety
{
	struct mm *mm = test_mm_enter();

	mmap_read_lock(mm);
	mm_insert_vma(mm, vma_alloc(mm, ADDR, ADDR + PAGE_SIZE, VM_READ));
}

/* A change of the tables of @mm is collected, under its lock, which is still held. */
static struct mm *collect_locked(struct table_changes *tc) __no_thread_safety
{
	struct mm *mm = test_mm_enter();

	BUG_ON(!pmd_alloc_upper(mm, ADDR));
	table_changes_init(tc);
	spin_lock(&mm->page_table_lock);
	tables_prepare(mm, tc, ADDR, ADDR + PAGE_SIZE);
	BUG_ON(tc->n != 1);
	return mm;
}

static void commit_unlocked(void) __no_thread_safety
{
	struct table_changes tc;
	struct mm *mm = collect_locked(&tc);

	spin_unlock(&mm->page_table_lock);
	mm_use(NULL);
	mmap_write_lock(mm); /* as for an mm that nobody else sees */
	table_changes_commit(&tc);
}

static void commit_under_anothers_lock(void) __no_thread_safety
{
	struct table_changes tc;
	struct mm *mm = collect_locked(&tc);

	spin_unlock(&mm->page_table_lock);
	spin_lock(&mm_alloc()->page_table_lock);
	table_changes_commit(&tc);
}

/* Others had the lock meanwhile. */
static void commit_after_a_break(void) __no_thread_safety
{
	struct table_changes tc;
	struct mm *mm = collect_locked(&tc);

	spin_unlock(&mm->page_table_lock);
	spin_lock(&mm->page_table_lock);
	table_changes_commit(&tc);
}

static void collect_of_two(void)
{
	struct table_changes tc;
	struct mm *other = test_mm_enter();

	BUG_ON(!pmd_alloc_upper(other, ADDR));
	collect_locked(&tc);
	table_change(&tc, pmd_find(other, ADDR), 0);
}

static void offset_of_nothing(void)
{
	volatile pmd_t none = {0};

	(void)*(volatile pte_t *)pte_offset(none, ADDR);
}

/* --- memory --- */

static void free_unflushed(void)
{
	static struct mmu_gather tlb;
	struct mm *mm = test_mm_enter();
	struct page *page = alloc_page(PAGE_USER);
	pte_t pte = mk_pte(page, vm_page_prot(VM_READ));

	tlb_gather_mmu(&tlb, mm);
	tlb_remove_ptes(&tlb, ADDR, &pte, 1);
	tlb_free_pages(&tlb);
}

static void free_twice(void)
{
	struct page *page = alloc_page(PAGE_KERNEL);

	free_page(page);
	free_page(page);
}

static void write_after_free(void)
{
	struct page *page = alloc_page(PAGE_KERNEL);

	free_page(page);
	*(u64 *)page_to_virt(page) = 1;
	/* The quarantine is first in, first out: enough others push the page out of it. */
	for (unsigned i = 0; i < 1000; i++)
		free_page(alloc_page(PAGE_KERNEL));
}

static void write_after_object_free(void)
{
	static KMEM_CACHE(
		cache, struct { u64 v[8]; });
	u64 *a = kmem_cache_zalloc(&cache), *b = kmem_cache_zalloc(&cache);

	kmem_cache_free(&cache, a);
	a[4] = 1;
	kmem_cache_zalloc(&cache);
	(void)b;
}

static void lost_dirty_bit(void)
{
	struct page *page = alloc_page_zeroed(PAGE_USER);

	*(u64 *)page_to_virt(page) = PAGE_STAMP_MAGIC;
	put_page(page);
}

static void table_not_empty(void)
{
	static struct mmu_gather tlb;
	struct mm *mm = test_mm_enter();
	struct page *table = table_alloc(mm, 1);

	/* Never linked: of a linked one the ledger says first that what it maps is owed. */
	pv_set_pte(page_to_virt(table), test_value(1));
	tlb_gather_mmu(&tlb, mm);
	tlb_remove_table(&tlb, ADDR, table);
	tlb_finish_mmu(&tlb);
}

/* --- what Xen refuses --- */

static pte_t *some_entry(void)
{
	return pte_offset(*test_pte_page(test_mm_enter(), ADDR), ADDR);
}

static void bypass_the_table(void)
{
	WRITE_ONCE(some_entry()->v, 0);
}

/* Itself, writable: no table may be. */
static void refused_update(void)
{
	pte_t *ptep = some_entry();

	pv_set_pte(ptep, mk_pte(virt_to_page(ptep), vm_page_prot(VM_READ | VM_WRITE)));
}

/* --- no report at all: the front door's watchdog and verdict --- */

static void hang(void)
{
	local_irq_disable();
	for (;;)
		cpu_relax();
}

static void reset(void)
{
	struct {
		u16 limit;
		u64 base;
	} __packed none = {0, 0};

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static const struct {
	const char *name;
	void (*run)(void);
} violations[] = {
#define V(f)                                                                                       \
	{                                                                                          \
#f, f                                                                              \
	}
	V(null_read),
	V(write_text),
	V(write_text_through_direct_map),
	V(execute_data),
	V(stack_overflow),
	V(user_access),
	V(lock_order),
	V(lock_twice),
	V(lock_not_owned),
	V(lock_irq_unsafe),
	V(sleep_with_lock),
	V(enter_unlocked),
	V(leave_unlocked),
	V(unlock_queued),
	V(read_hazard),
	V(read_of_no_table),
	V(leave_twice),
	V(resume_without_pause),
	V(lazy_at_exit),
	V(lazy_queue_at_exit),
	V(lock_at_exit),
	V(fault_in_section),
	V(kernel_map_in_section),
	V(unlock_owed),
	V(leave_owed),
	V(unlink_owed),
	V(put_owed),
	V(swing_owed),
	V(change_unlocked),
	V(push_down_unlocked),
	V(move_as_reader),
	V(commit_unlocked),
	V(commit_under_anothers_lock),
	V(commit_after_a_break),
	V(collect_of_two),
	V(offset_of_nothing),
	V(free_unflushed),
	V(free_twice),
	V(write_after_free),
	V(write_after_object_free),
	V(lost_dirty_bit),
	V(table_not_empty),
	V(bypass_the_table),
	V(refused_update),
	V(hang),
	V(reset),
#undef V
};

bool panics_known(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++)
		if (!strcmp(violations[i].name, name))
			return true;
	pr_err("command line: panic=%s is not known; there are:", name);
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++)
		printk(" %s", violations[i].name);
	printk("\n");
	return false;
}

void panics_run(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(violations); i++)
		if (!strcmp(violations[i].name, name))
			violations[i].run();
	printk("# panic=%s: nothing noticed it\n", name);
}
