/*
 * Life and death of address spaces.
 *
 * Lock: mm_list_lock guards the list of all of them.
 */
#include "mm/mm.h"

#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "mm/frame/slab.h"
#include "mm/lazy/tlb.h"
#include "mm/layout/layout.h"
#include "mm/range/family.h"
#include "mm/space/mmap.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"
#include "mm/vma/mmap_lock.h"

static KMEM_CACHE(mm_cache, struct mm);
static DEFINE_SPINLOCK(mm_list_lock, LOCK_MM_LIST);
static LIST_HEAD(mm_list);

#define RW_OF(vm_flags) ((vm_flags)&VM_WRITE ? _PAGE_RW : 0)
#define NX_OF(vm_flags) ((vm_flags)&VM_EXEC ? 0 : _PAGE_NX)
#define PRESENT_PROT(vm_flags)                                                                     \
	{                                                                                          \
		_PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | RW_OF(vm_flags) | NX_OF(vm_flags)    \
	}

/* Whoever may write or execute may read: the entry has no bit for that. */
const pgprot_t vm_page_prots[VM_ACCESS + 1] = {
	{_PAGE_PROTNONE | _PAGE_NX | _PAGE_ACCESSED},
	PRESENT_PROT(VM_READ),
	PRESENT_PROT(VM_WRITE),
	PRESENT_PROT(VM_WRITE | VM_READ),
	PRESENT_PROT(VM_EXEC),
	PRESENT_PROT(VM_EXEC | VM_READ),
	PRESENT_PROT(VM_EXEC | VM_WRITE),
	PRESENT_PROT(VM_EXEC | VM_WRITE | VM_READ),
};

struct mm *mm_alloc(void)
{
	struct mm *mm = kmem_cache_zalloc(&mm_cache);
	struct page *pgd;

	if (!mm)
		return NULL;
	pgd = table_alloc(mm, 4);
	if (!pgd) {
		kmem_cache_free(&mm_cache, mm);
		return NULL;
	}
	mm->pgd = page_to_virt(pgd);
	atomic_set(&mm->users, 1);
	rwsem_init(&mm->mmap_lock);
	wait_queue_init(&mm->vma_waiters);
	mm->stack_limit = STACK_LIMIT_DEFAULT;
	mm->address_limit = ~0UL;
	mm->lock_seq = 1; /* a new VMA has mark 0 */
	spin_lock_init(&mm->page_table_lock, LOCK_PAGE_TABLE);
	tlb_init_mm(mm);
	spin_lock(&mm_list_lock);
	list_add_tail(&mm->node, &mm_list);
	spin_unlock(&mm_list_lock);
	return mm;
}

/*
 * No CPU may walk the tables while they come apart, so the mm is evicted first; then nothing needs
 * an invalidation any more.
 */
void mm_put(struct mm *mm)
{
	void (*awaited)(void);

	if (!atomic_dec_and_test(&mm->users))
		return;
	BUG_ON(rwsem_is_locked(&mm->mmap_lock));
	spin_lock(&mm_list_lock);
	list_del(&mm->node);
	spin_unlock(&mm_list_lock);
	tlb_evict_mm(mm);
	unmap_everything(mm);
	family_leave(mm);
	table_free(virt_to_page(mm->pgd));
	awaited = mm->oom_awaited;
	kmem_cache_free(&mm_cache, mm);
	if (unlikely(awaited))
		awaited();
}

/*
 * A task empties its slot before it drops its reference, and the last one takes mm_list_lock before
 * the mm goes. So what is found in the slot under that lock stays until it is released.
 */
struct mm *mm_get_in_use(struct mm *const *slot)
{
	struct mm *mm;
	int users;

	spin_lock(&mm_list_lock);
	mm = READ_ONCE(*slot);
	users = mm ? atomic_read(&mm->users) : 0;
	while (users && !try_cmpxchg(&mm->users.v, &users, users + 1))
		;
	spin_unlock(&mm_list_lock);
	return users ? mm : NULL;
}

void mm_use(struct mm *mm)
{
	unsigned long flags;

	vma_forget_all();
	flags = local_irq_save();
	switch_mm(mm);
	current->mm = mm;
	local_irq_restore(flags);
}

struct mm *mm_fork(struct mm *mm)
{
	struct mm *child = mm_alloc();
	int err;

	if (!child)
		return NULL;
	mmap_write_lock(mm);
	mmap_write_lock_nested(child);
	err = layout_copy(child, mm);
	child->brk_start = mm->brk_start;
	child->brk = mm->brk;
	child->stack_limit = READ_ONCE(mm->stack_limit);
	child->address_limit = READ_ONCE(mm->address_limit);
	mmap_write_unlock(child);
	mmap_write_unlock(mm);
	if (err) {
		mm_put(child);
		return NULL;
	}
	count(CNT_FORKS);
	return child;
}

void for_each_mm(void (*fn)(struct mm *mm, void *arg), void *arg)
{
	struct mm *mm;

	spin_lock(&mm_list_lock);
	list_for_each_entry(mm, &mm_list, node)
		fn(mm, arg);
	spin_unlock(&mm_list_lock);
}
