/*
 * An address space: its VMAs, its page tables, and what guards them.
 *
 *   mmap_lock         read for changes of entries alone, write for changes of layout
 *   a VMA's lock      that VMA as it is, for a fault; it may need mmap_lock for reading instead
 *   page_table_lock   linking and unlinking of tables at L2 and above
 *   ptl (struct page) the entries of one PTE page, and the rights in the L2 entry that links it
 */
#pragma once

#include "kernel/lib/list.h"
#include "kernel/sched/wait.h"
#include "mm/types/pgtable_types.h"
#include "mm/types/tlb_types.h"

struct shmem;
struct mm_family;

#define VM_READ BIT(0)
#define VM_WRITE BIT(1)
#define VM_EXEC BIT(2)
#define VM_ACCESS (VM_READ | VM_WRITE | VM_EXEC)
#define VM_SHARED BIT(3)
#define VM_PFNMAP BIT(4)     /* maps fixed frames; no struct page is counted */
#define VM_GROWSDOWN BIT(5)  /* a stack: private memory that a fault below it extends */
#define VM_DONTCOPY BIT(6)   /* fork leaves it out */
#define VM_WIPEONFORK BIT(7) /* of private memory fork copies the VMA and no page */

struct vma {
	unsigned long start, end; /* [start, end), page aligned */
	unsigned long flags;
	struct mm *mm;
	struct shmem *shmem; /* VM_SHARED memory: the object, of which we hold a reference */
	unsigned long
		pgoff; /* of start: in pages of the object, or the first frame of a VM_PFNMAP */
	/* vma.c: a treap by address, and a list in order */
	struct vma *left, *right, *prev, *next;
	u32 priority;

	/* mmap_lock.h */
	u64 mark;	  /* of the writer that changes it */
	atomic_t readers; /* faults inside */
	atomic_t refs;	  /* to the memory: the layout's, and of tasks that remember it */
};

struct vma_set {
	struct vma *root, *first;
	unsigned count;
};

/* What fork has learned of an address space: mm/range/fork.c. */
struct fork_history {
	bool expects_copies; /* writes will meet shared pages below the tables that fork shares */
	bool has_shared;     /* the last fork shared a well-filled table of private memory */
	bool has_copied;     /* and a write has met a shared page there; the VMA's lock will do */
};

struct mm {
	pgd_t *pgd;
	struct mm_tlb tlb;
	atomic_t users; /* tasks; the last one tears it down */
	struct rwsem mmap_lock;
	struct wait_queue vma_waiters; /* until the faults in a VMA have ended */
	struct spinlock page_table_lock;

	/* mmap_lock */
	struct vma_set vmas;
	u64 lock_seq; /* the mark of VMAs that change now */
	/* With whom it may share private pages: mm/range/family.h. NULL: no fork has made it, and it has made none. */
	struct mm_family *family;
	struct fork_history fork_history;
	unsigned long brk_start, brk;
	unsigned long mapped_pages; /* in VMAs */
	/* Written at any time. */
	unsigned long stack_limit;   /* RLIMIT_STACK: bytes of a VM_GROWSDOWN */
	unsigned long address_limit; /* RLIMIT_AS: bytes in VMAs */

	/* mm_list_lock */
	struct list_head node;

	/* kernel/process/oom.c */
	void (*oom_awaited)(void); /* whoever tears it down calls it in the end */
	bool oom_skip;		   /* it was waited for in vain */
};

extern struct mm init_mm; /* the kernel's tables; no user half */

/* A new, empty address space with one user; NULL: no memory. */
struct mm *mm_alloc(void);
/*
 * A reference to the mm in @slot, which a task has in use and may drop meanwhile; NULL: it has.
 */
struct mm *mm_get_in_use(struct mm *const *slot);
/* Drop a user. The last one tears everything down; the caller's CPU may have the mm loaded. */
void mm_put(struct mm *mm);
/*
 * The current task goes on in @mm, NULL: in none. Of the former one it forgets what it remembers;
 * the reference to it stays the caller's.
 */
void mm_use(struct mm *mm);
/* Call @fn for each address space, under the list's lock. */
void for_each_mm(void (*fn)(struct mm *mm, void *arg), void *arg);
/* A copy of the current task's mm, as fork makes it; NULL: no memory. */
struct mm *mm_fork(struct mm *mm);

extern const pgprot_t vm_page_prots[VM_ACCESS + 1];

/* The protection of the entries of a VMA that are mapped as its rights say. */
static inline pgprot_t vm_page_prot(unsigned long vm_flags)
{
	return vm_page_prots[vm_flags & VM_ACCESS];
}

/* The number by which TLBs and the trace know @mm; 0: the kernel's. */
static inline u64 mm_context(const struct mm *mm)
{
	return mm ? mm->tlb.context : 0;
}
