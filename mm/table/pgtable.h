/*
 * Page-table entries and tables: the helpers that mm/ works with, with Linux's names.
 *
 * Rights are the AND of all levels: an L2 entry may be narrower than the PTEs below it, and every
 * walker says what it finds with pte_narrow(). ptep_get() is the only way to read a PTE.
 */
#pragma once

#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/trace.h"
#include "kernel/sync/thread_safety.h"
#include "mm/frame/page.h"
#include "mm/mm.h"
#include "mm/types/pgtable_types.h"
#include "pv/pv_ops.h"

/* --- values --- */

/* The A and D bits that a clear left for harvesting do not make an entry one. */
static inline bool pte_none(pte_t pte)
{
	return !(pte.v & ~_PAGE_AD);
}

static inline bool pte_present(pte_t pte)
{
	return pte.v & _PAGE_PRESENT;
}

static inline bool pte_write(pte_t pte)
{
	return pte.v & _PAGE_RW;
}

static inline bool pte_exec(pte_t pte)
{
	return !(pte.v & _PAGE_NX);
}

static inline bool pte_user(pte_t pte)
{
	return pte.v & _PAGE_USER;
}

static inline bool pte_dirty(pte_t pte)
{
	return pte.v & _PAGE_DIRTY;
}

static inline bool pte_special(pte_t pte)
{
	return pte.v & _PAGE_SPECIAL;
}

static inline pte_t pte_wrprotect(pte_t pte)
{
	return (pte_t){pte.v & ~_PAGE_RW};
}

static inline pte_t pte_mkwrite(pte_t pte)
{
	return (pte_t){pte.v | _PAGE_RW};
}

static inline pte_t pte_mkdirty(pte_t pte)
{
	return (pte_t){pte.v | _PAGE_DIRTY};
}

static inline pte_t pte_mkclean(pte_t pte)
{
	return (pte_t){pte.v & ~_PAGE_DIRTY};
}

static inline pte_t pte_mkyoung(pte_t pte)
{
	return (pte_t){pte.v | _PAGE_ACCESSED};
}

static inline pte_t pte_mkspecial(pte_t pte)
{
	return (pte_t){pte.v | _PAGE_SPECIAL};
}

/*
 * An entry without any right (PROT_NONE) is not present but keeps its frame, inverted: a frame
 * number beyond all memory, so that neither L1TF nor Xen's check of non-present entries minds it.
 */
static inline bool pte_protnone(pte_t pte)
{
	return (pte.v & (_PAGE_PRESENT | _PAGE_PROTNONE)) == _PAGE_PROTNONE;
}

static inline bool pte_has_frame(pte_t pte)
{
	return pte.v & (_PAGE_PRESENT | _PAGE_PROTNONE);
}

static inline u64 pte_frame_bits(pte_t pte)
{
	if (likely(pte_present(pte)))
		return pte.v & PTE_MFN_MASK;
	return (pte_protnone(pte) ? ~pte.v : pte.v) & PTE_MFN_MASK;
}

static inline pte_t frame_pte(u64 frame, u64 flags)
{
	return (pte_t){flags | (flags & _PAGE_PRESENT ? frame : ~frame & PTE_MFN_MASK)};
}

static inline pte_t pfn_pte(pfn_t p, pgprot_t prot)
{
	return frame_pte(mfn_to_maddr(pfn_to_mfn(p)).v, prot.v);
}

static inline pte_t mk_pte(const struct page *page, pgprot_t prot)
{
	return pfn_pte(page_to_pfn(page), prot);
}

static inline pfn_t pte_pfn(pte_t pte)
{
	return mfn_to_pfn(maddr_to_mfn((maddr_t){pte_frame_bits(pte)}));
}

static inline struct page *pte_page(pte_t pte)
{
	return pfn_to_page(pte_pfn(pte));
}

/* The same, shorter, of an entry that is present: nothing is inverted. */
static inline struct page *present_pte_page(pte_t pte)
{
	return pfn_to_page(mfn_to_pfn(maddr_to_mfn((maddr_t){pte.v & PTE_MFN_MASK})));
}

#define _PAGE_RIGHTS (_PAGE_RW | _PAGE_NX | _PAGE_USER | _PAGE_PRESENT | _PAGE_PROTNONE)
static inline u64 modified_bits(pte_t pte, pgprot_t prot)
{
	return (pte.v & ~_PAGE_RIGHTS) | (prot.v & _PAGE_RIGHTS);
}

/*
 * See pte_modify(); shorter, of an entry that is present and stays so: its frame is not inverted.
 */
static inline pte_t present_pte_modify(pte_t pte, pgprot_t prot)
{
	ASSERT(pte.v & prot.v & _PAGE_PRESENT);
	return (pte_t){modified_bits(pte, prot)};
}

/* @pte with the rights of @prot, and everything else as it was. */
static inline pte_t pte_modify(pte_t pte, pgprot_t prot)
{
	if (likely(pte.v & (prot.v & _PAGE_PRESENT)))
		return present_pte_modify(pte, prot);
	return frame_pte(pte_frame_bits(pte), modified_bits(pte, prot) & PTE_FLAGS_MASK);
}

/* True if who knows @old may do what @new, of the same frame, does not permit. */
static inline bool pte_narrows(pte_t old, pte_t new)
{
	return pte_present(old) &&
	       (!pte_present(new) || (old.v & ~new.v &(_PAGE_RW | _PAGE_USER)) ||
		(~old.v & new.v &_PAGE_NX));
}

/* --- upper levels: L4 pgd, L3 pud, L2 pmd --- */

#define DEFINE_TABLE_LEVEL(lvl, LVL)                                                               \
	/* Read an entry once. Without page_table_lock it may be old already. */                   \
	static inline lvl##_t lvl##p_get(const lvl##_t *entry)                                     \
	{                                                                                          \
		return (lvl##_t){READ_ONCE(entry->v)};                                             \
	}                                                                                          \
	static inline bool lvl##_none(lvl##_t e)                                                   \
	{                                                                                          \
		return !e.v;                                                                       \
	}                                                                                          \
	static inline unsigned lvl##_index(unsigned long addr)                                     \
	{                                                                                          \
		return addr >> LVL##_SHIFT & (PTRS_PER_TABLE - 1);                                 \
	}                                                                                          \
	static inline pfn_t lvl##_pfn(lvl##_t e)                                                   \
	{                                                                                          \
		return mfn_to_pfn(maddr_to_mfn((maddr_t){e.v & PTE_MFN_MASK}));                    \
	}                                                                                          \
	static inline lvl##_t lvl##_make(pfn_t table, u64 flags)                                   \
	{                                                                                          \
		return (lvl##_t){mfn_to_maddr(pfn_to_mfn(table)).v | flags};                       \
	}                                                                                          \
	/* The end of the part of [addr, end) that one entry of this level covers. */              \
	static inline unsigned long lvl##_addr_end(unsigned long addr, unsigned long end)          \
	{                                                                                          \
		unsigned long next = (addr + LVL##_SIZE) & ~(LVL##_SIZE - 1);                      \
		return next - 1 < end - 1 ? next : end;                                            \
	}
DEFINE_TABLE_LEVEL(pgd, PGD)
DEFINE_TABLE_LEVEL(pud, PUD)
DEFINE_TABLE_LEVEL(pmd, PMD)

#ifdef CONFIG_DEBUG
/* Panics: @entry links no table of @level, or a page that is none. */
void links_no_table(u64 entry, unsigned level);

/* What was made at boot has no kind, and before that there is no struct page. */
static inline void assert_links_table(u64 entry, unsigned level)
{
	u64 frame = mfn_to_pfn(maddr_to_mfn((maddr_t){entry & PTE_MFN_MASK})).v;
	const struct page *page = pfn_to_page((pfn_t){frame});

	if (unlikely(!mem_map))
		return;
	if ((entry & (_PAGE_PRESENT | _PAGE_PSE)) != _PAGE_PRESENT || frame >= max_pfn ||
	    (page->kind != PAGE_RESERVED &&
	     ((page->kind != PAGE_TABLE && page->kind != PAGE_KERNEL_TABLE) ||
	      page->level != level)))
		links_no_table(entry, level);
}
#else
static inline void assert_links_table(u64 entry __unused, unsigned level __unused) {}
#endif

static inline pgd_t *pgd_offset(const struct mm *mm, unsigned long addr)
{
	return mm->pgd + pgd_index(addr);
}

static inline pud_t *pud_offset(pgd_t pgd, unsigned long addr)
{
	assert_links_table(pgd.v, 3);
	return (pud_t *)pfn_to_virt(pgd_pfn(pgd)) + pud_index(addr);
}

static inline pmd_t *pmd_offset(pud_t pud, unsigned long addr)
{
	assert_links_table(pud.v, 2);
	return (pmd_t *)pfn_to_virt(pud_pfn(pud)) + pmd_index(addr);
}

static inline bool pmd_large(pmd_t pmd)
{
	return pmd.v & _PAGE_PSE;
}

/* --- L1 --- */

static inline unsigned pte_index(unsigned long addr)
{
	return addr >> PAGE_SHIFT & (PTRS_PER_TABLE - 1);
}

static inline pte_t *pte_offset(pmd_t pmd, unsigned long addr)
{
	assert_links_table(pmd.v, 1);
	return (pte_t *)pfn_to_virt(pmd_pfn(pmd)) + pte_index(addr);
}

static inline struct spinlock *pte_lockptr(pmd_t pmd)
{
	assert_links_table(pmd.v, 1);
	return &pfn_to_page(pmd_pfn(pmd))->ptl;
}

/* The PTE page that @ptl is the lock of. */
static inline struct page *ptl_page(struct spinlock *ptl)
{
	return container_of(ptl, struct page, ptl);
}

/* The rights that @pte has below @pmd; upper levels grant everything, which the audits check. */
static inline pte_t pte_narrow(pte_t pte, pmd_t pmd)
{
	u64 lost = ~pmd.v & (_PAGE_RW | _PAGE_USER);

	return (pte_t){(pte.v & ~lost) | (pmd.v & _PAGE_NX)};
}

/*
 * Lock the PTE page that @pmd, which is present, links; the address of the entry for @addr. It
 * stays linked: tables go only with mmap_lock held for writing, or out of reach of every VMA, and
 * another one takes a table's place only where nobody else uses the address space. So it is the one
 * that was found before the wait. Not analysed: the role stands for a lock that the analysis does
 * not know.
 */
static inline pte_t *pte_offset_map_lock(pmd_t *pmd, unsigned long addr, struct spinlock **ptlp)
	__acquires(ptl_role) __excludes(lazy_mmu_role) __no_thread_safety
{
	pmd_t e = pmdp_get(pmd);

	*ptlp = pte_lockptr(e);
	spin_lock_preemptible(*ptlp, 0);
	ASSERT(!((pmdp_get(pmd).v ^ e.v) & (PTE_MFN_MASK | _PAGE_PRESENT)));
	trace_lock_taken();
	preempt_point();
	return pte_offset(e, addr);
}

/*
 * A second PTE page, inside the first: the child's in fork, the new one in mremap. The section
 * changes both, so it is entered when both are locked. Not analysed: as pte_offset_map_lock().
 */
static inline pte_t *pte_offset_map_lock_nested(pmd_t *pmd, unsigned long addr,
						struct spinlock **ptlp) __must_hold(ptl_role)
	__acquires(ptl_nested_role) __excludes(lazy_mmu_role) __no_thread_safety
{
	pmd_t e = pmdp_get(pmd);

	*ptlp = pte_lockptr(e);
	spin_lock_preemptible(*ptlp, 1);
	trace_lock_taken();
	return pte_offset(e, addr);
}

#ifdef CONFIG_DEBUG
/* Nothing that the section changed may still be queued when others can lock the page. */
void pte_assert_unlock(void);
#else
static inline void pte_assert_unlock(void) {}
#endif

/*
 * @pte: what pte_offset_map_lock() gave, as on Linux; here nothing is unmapped. Not analysed: as
 * pte_offset_map_lock().
 */
static inline void pte_unmap_unlock(pte_t *pte __unused, struct spinlock *ptl) __releases(ptl_role)
	__excludes(lazy_mmu_role) __no_thread_safety
{
	pte_assert_unlock();
	spin_unlock_preemptible(ptl);
	preempt_point();
}

/* Not analysed: as pte_offset_map_lock(). */
static inline void pte_unmap_unlock_nested(pte_t *pte __unused, struct spinlock *ptl)
	__releases(ptl_nested_role) __excludes(lazy_mmu_role) __no_thread_safety
{
	pte_assert_unlock();
	spin_unlock_preemptible(ptl);
}

#ifdef CONFIG_DEBUG
/* Panics unless this task holds the lock of the page that @ptep lies in. */
void ptep_assert_locked(const pte_t *ptep);
#else
static inline void ptep_assert_locked(const pte_t *ptep __unused) {}
#endif

#ifdef CONFIG_DEBUG
/* Panics on a read of an entry whose update is still queued: what it returns would be stale. */
void ptep_assert_not_queued(const pte_t *ptep);
/* Panics on a read of what is no table any more, by a pointer from before the table was replaced. */
void ptep_assert_in_table(const pte_t *ptep);
#else
static inline void ptep_assert_in_table(const pte_t *ptep __unused) {}
static inline void ptep_assert_not_queued(const pte_t *ptep __unused) {}
#endif

/* Read an entry. Without its lock the value may be old by the time it is looked at. */
static inline pte_t ptep_get(const pte_t *ptep)
{
	ptep_assert_in_table(ptep);
	ptep_assert_not_queued(ptep);
	return (pte_t){READ_ONCE(ptep->v)};
}

/* Most tables are mostly empty, so scans go from cache line to cache line of entries. A peek. */
#define PTES_PER_LINE 8
static inline bool pte_line_used(const pte_t *e)
{
	return !pte_none(
		(pte_t){e[0].v | e[1].v | e[2].v | e[3].v | e[4].v | e[5].v | e[6].v | e[7].v});
}

/*
 * An entry that is one has the one bit or the other, so a sum of them all counts both kinds: the
 * first from bit 0 on, the second from bit 10 on, and each has room for a table.
 */
#define USED_BITS (_PAGE_PRESENT | _PAGE_PROTNONE)
static_assert(USED_BITS == (1 | BIT(10)) && PTRS_PER_TABLE < 1 << 10, "two sums in one word");

/* Of the entries of a line; ptes_in_sum() says what lines' sums together mean. */
static inline u64 pte_line_sum(const pte_t *e)
{
	if (!pte_line_used(e))
		return 0;
	barrier(); /* read them anew: kept in registers, they would make empty lines twice as dear */
	return (e[0].v & USED_BITS) + (e[1].v & USED_BITS) + (e[2].v & USED_BITS) +
	       (e[3].v & USED_BITS) + (e[4].v & USED_BITS) + (e[5].v & USED_BITS) +
	       (e[6].v & USED_BITS) + (e[7].v & USED_BITS);
}

static inline unsigned ptes_in_sum(u64 sum)
{
	return (sum & 1023) + (sum >> 10);
}

/*
 * The first entry of [e, end), in one table, that is in use; @end: none is. Whatever entries are in
 * use, it looks at eight after each other with one look at the end. A peek.
 */
static __always_inline const pte_t *pte_next_used(const pte_t *e, const pte_t *end)
{
	const pte_t *last = end - PTES_PER_LINE;

#define RETURN_IF_USED(i)                                                                          \
	if (!pte_none(e[i]))                                                                       \
	return e + (i)
	for (; e <= last; e += PTES_PER_LINE) {
		RETURN_IF_USED(0);
		RETURN_IF_USED(1);
		RETURN_IF_USED(2);
		RETURN_IF_USED(3);
		RETURN_IF_USED(4);
		RETURN_IF_USED(5);
		RETURN_IF_USED(6);
		RETURN_IF_USED(7);
	}
	for (; e != end; e++)
		RETURN_IF_USED(0);
#undef RETURN_IF_USED
	return end;
}

/* Store an entry that was none, or whose A and D bits do not matter. */
static inline void set_pte_at(struct mm *mm, unsigned long addr, pte_t *ptep, pte_t pte)
	__must_hold(ptl_role)
{
	ptep_assert_locked(ptep);
	preempt_point();
	count(CNT_PTE_UPDATES);
	trace(TRACE_SET, mm_context(mm), addr, pte.v);
	pv_set_pte(ptep, pte);
}

/*
 * The same outside of a section: effective on return, and, where a hypervisor has a call for one
 * entry of the address space that is loaded, shorter. The entry was none; or @pte has A and D, so
 * that nothing is lost of what the CPU may set meanwhile.
 */
static inline void install_pte(struct mm *mm, unsigned long addr, pte_t *ptep, pte_t pte)
	__must_hold(ptl_role) __excludes(lazy_mmu_role)
{
	ptep_assert_locked(ptep);
	ASSERT(pte_none(ptep_get(ptep)) || (pte.v & _PAGE_AD) == _PAGE_AD);
	preempt_point();
	count(CNT_PTE_UPDATES);
	trace(TRACE_SET, mm_context(mm), addr, pte.v);
	pv_install_pte(ptep, pte, addr);
}

/*
 * Clear an entry; what it held. In a lazy section the value is that of the moment of the call, and
 * the A and D bits that the CPU sets until the leave are found in the cleared entry by
 * ptep_harvest().
 */
static inline pte_t ptep_get_and_clear(struct mm *mm, unsigned long addr, pte_t *ptep)
	__must_hold(ptl_role)
{
	pte_t old;

	ptep_assert_locked(ptep);
	ptep_assert_not_queued(ptep);
	preempt_point();
	count(CNT_PTE_UPDATES);
	old = pv_ptep_get_and_clear(ptep);
	trace(TRACE_CLEAR, mm_context(mm), addr, old.v);
	return old;
}

/* The same of @n entries of one table, at most PV_RUN_MAX; what they held is left in @old. */
static inline void get_and_clear_ptes(struct mm *mm, unsigned long addr, pte_t *ptep, pte_t *old,
				      unsigned n) __must_hold(ptl_role)
{
	ptep_assert_locked(ptep);
	for (unsigned i = 0; i < n; i++)
		ptep_assert_not_queued(ptep + i);
	preempt_point();
	count_n(CNT_PTE_UPDATES, n);
	pv_get_and_clear_ptes(ptep, old, n);
	for (unsigned i = 0; i < n; i++)
		trace(TRACE_CLEAR, mm_context(mm), addr + i * PAGE_SIZE, old[i].v);
}

/* After the leave: the A and D bits that a cleared entry gathered until its clear took effect. */
static inline pte_t ptep_harvest(const pte_t *ptep)
{
	pte_t pte = ptep_get(ptep);

	return (pte_t){pte_none(pte) ? pte.v : 0};
}

/*
 * Change the rights of @n entries of one table, from that of @addr on: @pte is what was computed
 * from values read under the lock. A and D bits that the CPU has set since are kept. Linux's
 * name, 6.17.
 */
static inline void modify_prot_commit_ptes(struct mm *mm, unsigned long addr, pte_t *ptep,
					   const pte_t *pte, unsigned n) __must_hold(ptl_role)
{
	ptep_assert_locked(ptep);
	preempt_point();
	count_n(CNT_PTE_UPDATES, n);
	for (unsigned i = 0; i < n; i++)
		trace(TRACE_MODIFY, mm_context(mm), addr + i * PAGE_SIZE, pte[i].v);
	pv_modify_ptes(ptep, pte, n);
}

static inline void ptep_modify_prot_commit(struct mm *mm, unsigned long addr, pte_t *ptep,
					   pte_t pte) __must_hold(ptl_role)
{
	modify_prot_commit_ptes(mm, addr, ptep, &pte, 1);
}

/* --- the kernel's mappings --- */

/* Map @p at @va, for which kernel_map_prepare() has made the tables. */
void kernel_map(unsigned long va, pfn_t p, pgprot_t prot);

/*
 * Take away what is mapped at @va; its page. TLBs may still have it: the caller lets every CPU
 * forget it before the page is used again.
 */
struct page *kernel_unmap(unsigned long va);

/* Build the final direct map and leave the boot tables. */
void direct_map_init(void);
/* A device's registers at @pa, one page, uncached; the virtual address. Boot only. */
void *fixmap_device(paddr_t pa);
