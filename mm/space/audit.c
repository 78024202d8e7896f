/*
 * The audit of all page tables. Nothing runs that could change them (kernel/sched/freezer.h), so it
 * takes no lock but those of the lists it goes along.
 */
#include "mm/space/audit.h"

#include "kernel/debug/printk.h"
#include "kernel/lib/layout.h"
#include "kernel/lib/string.h"
#include "kernel/sched/task.h"
#include "mm/frame/frames_device.h"
#include "mm/range/family.h"
#include "mm/range/whole_table.h"
#include "mm/range/zeromap.h"
#include "mm/space/audit_internal.h"
#include "mm/table/page_history.h"
#include "mm/table/pgtable.h"
#include "mm/vma/shmem.h"
#include "mm/vma/vma.h"

#define MAX_REPORTS 16
#define MAX_HISTORIES 2

char audit_first[200];

void audit_report(struct audit *a, const char *fmt, ...)
{
	char msg[sizeof(audit_first)];
	va_list args;

	if (a->violations++ >= MAX_REPORTS)
		return;
	va_start(args, fmt);
	vsnprintf(msg, sizeof(msg), fmt, args);
	va_end(args);
	if (a->violations == 1)
		strlcpy(audit_first, msg, sizeof(audit_first));
	printk("    # audit: %s\n", msg);
	trace_stop();
	if (a->mm && a->violations <= MAX_HISTORIES)
		page_history_print(a->mm, a->addr);
}

/*
 * An upper-level entry must link a table of this mm, with all rights; but a PTE page may be
 * write-protected by its L2 entry (mm/range/whole_table.h).
 */
static bool check_table(struct audit *a, const struct mm *mm, u64 entry, unsigned level,
			unsigned long addr)
{
	u64 frame = mfn_to_pfn(maddr_to_mfn((maddr_t){entry & PTE_MFN_MASK})).v;
	struct page *page;
	bool may_be_protected;
	u64 rights;

	if (frame >= max_pfn || (entry & _PAGE_PSE)) {
		audit_report(a, "level %u entry %#lx for %#lx links no table", level + 1, entry,
			     addr);
		return false;
	}
	page = pfn_to_page(pfn(frame));
	page->audit_mappings++;
	if (page->kind != PAGE_TABLE || page->level != level || page->table_mm != mm) {
		audit_report(a, "level %u entry %#lx for %#lx links a page of kind %u level %u",
			     level + 1, entry, addr, page->kind, page->level);
		return false;
	}
#ifdef CONFIG_DEBUG
	if (page->covers != addr)
		audit_report(a, "level %u entry %#lx for %#lx links a table that covers %#lx",
			     level + 1, entry, addr, page->covers);
#endif
	rights = entry & (_PAGE_RW | _PAGE_USER | _PAGE_NX);
	may_be_protected = level == 1 && whole_tables_enabled;
	if (rights != (_PAGE_RW | _PAGE_USER) && !(may_be_protected && rights == _PAGE_USER))
		audit_report(a, "level %u entry %#lx for %#lx narrows rights", level + 1, entry,
			     addr);
	if ((page->pg_flags & (PG_PLAIN_TABLE | PG_DROP_WHOLE)) ||
	    ((page->pg_flags & PG_SHARED_BELOW) && (entry & _PAGE_RW)))
		audit_report(a, "level %u entry %#lx for %#lx links a table with flags %#x",
			     level + 1, entry, addr, page->pg_flags);
	return true;
}

/* Private memory. @alone: RW in @pte says that nothing else maps the page. */
static void check_owner(struct audit *a, const struct vma *vma, pte_t pte, bool alone)
{
	const struct page *page = pte_page(pte);
	int refs = atomic_read(&page->refcount);

	if (refs == 1)
		return;
	if (alone && pte_write(pte))
		audit_report(a, "%#lx: private page %#lx is writable with %d references", a->addr,
			     page_to_pfn(page).v, refs);
	if (family_is_one(vma->mm))
		audit_report(a, "%#lx: private page %#lx of an only member has %d references",
			     a->addr, page_to_pfn(page).v, refs);
}

/* @alone: as for check_owner(). */
static void check_frame_of(struct audit *a, const struct vma *vma, pte_t pte, unsigned long addr,
			   bool alone)
{
	u64 frame = pte_pfn(pte).v;
	struct page *page;

	if (pte_special(pte)) {
		if (vma->flags & VM_PFNMAP) {
			u64 want = vma->pgoff + ((addr - vma->start) >> PAGE_SHIFT);

			if (frame != want || !frames_device_owns(frame))
				audit_report(a, "%#lx maps frame %#lx, not %#lx", addr, frame,
					     want);
		} else if (frame != page_to_pfn(zero_page).v || pte_write(pte)) {
			audit_report(a, "%#lx: special entry %#lx is not the zero page", addr,
				     pte.v);
		}
		return;
	}
	if (frame >= max_pfn || pfn_to_page(pfn(frame))->kind != PAGE_USER) {
		audit_report(a, "%#lx maps frame %#lx, which is no user page", addr, frame);
		return;
	}
	page = pfn_to_page(pfn(frame));
	page->audit_mappings++;
	if (!vma->shmem)
		check_owner(a, vma, pte, alone);
}

/*
 * Whether an entry, as it is below its L2 entry, permits what the VMA does not. In words of its
 * own: vm_page_prot(), which makes the entries, may be wrong itself. What nothing here sets
 * (caching, PAT) may not be set either.
 */
static bool excess(const struct vma *vma, pte_t pte)
{
	if (!pte_present(pte))
		return false;
	return !(vma->flags & (VM_READ | VM_WRITE | VM_EXEC)) || !pte_user(pte) ||
	       (pte_write(pte) && !(vma->flags & VM_WRITE)) ||
	       (pte_exec(pte) && !(vma->flags & VM_EXEC)) ||
	       (pte.v & (_PAGE_PWT | _PAGE_PCD | _PAGE_PSE));
}

static void check_entry(struct audit *a, const struct mm *mm, pmd_t pmd, pte_t pte,
			unsigned long addr)
{
	bool alone = !(pfn_to_page(pmd_pfn(pmd))->pg_flags & PG_SHARED_BELOW);
	const struct vma *vma = vma_find(&mm->vmas, addr);

	if (!vma || vma->start > addr) {
		audit_report(a, "entry %#lx for %#lx lies in no VMA", pte.v, addr);
		return;
	}
	if (!pte_has_frame(pte)) {
		audit_report(a, "entry %#lx for %#lx is neither none nor a mapping", pte.v, addr);
		return;
	}
	check_frame_of(a, vma, pte, addr, alone);
	if (excess(vma, pte_narrow(pte, pmd)))
		audit_report(a, "entry %#lx for %#lx has rights that its VMA (%#lx) has not", pte.v,
			     addr, vma->flags);
}

static void audit_pte_page(struct audit *a, const struct mm *mm, pmd_t pmd, unsigned long addr)
{
	const pte_t *table = pte_offset(pmd, 0);

	if (spin_is_locked(pte_lockptr(pmd)))
		audit_report(a, "the PTE page for %#lx is locked, and everybody is at rest", addr);
	for (unsigned i = 0; i < PTRS_PER_TABLE; i++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(table + i);

		if (pte_none(pte))
			continue;
		a->mm = mm;
		a->addr = addr;
		check_entry(a, mm, pmd, pte, addr);
		a->mm = NULL;
	}
}

static void audit_pmd_page(struct audit *a, const struct mm *mm, pud_t pud, unsigned long addr)
{
	const pmd_t *table = pmd_offset(pud, 0);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++, addr += PMD_SIZE)
		if (!pmd_none(table[i]) && check_table(a, mm, table[i].v, 1, addr))
			audit_pte_page(a, mm, table[i], addr);
}

static void audit_pud_page(struct audit *a, const struct mm *mm, pgd_t pgd, unsigned long addr)
{
	const pud_t *table = pud_offset(pgd, 0);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++, addr += PUD_SIZE)
		if (!pud_none(table[i]) && check_table(a, mm, table[i].v, 2, addr))
			audit_pmd_page(a, mm, table[i], addr);
}

/* The VMAs, and what the mm counts of them. Nobody is in a fault, and none is about to change. */
static void check_layout(struct audit *a, const struct mm *mm)
{
	unsigned long pages = 0, end = 0;
	unsigned n = 0;

	for (const struct vma *v = mm->vmas.first; v; v = v->next, n++) {
		if (v->start < end || v->start >= v->end || v->end > USER_END || v->mm != mm)
			audit_report(a, "a VMA of %#lx-%#lx follows one that ends at %#lx",
				     v->start, v->end, end);
		if (atomic_read(&v->readers) || v->mark >= mm->lock_seq)
			audit_report(a, "the VMA at %#lx is locked, and everybody is at rest",
				     v->start);
		if (v->next && vma_mergeable(v, v->next))
			audit_report(a, "the VMAs at %#lx and %#lx could be one", v->start,
				     v->next->start);
		pages += (v->end - v->start) >> PAGE_SHIFT;
		end = v->end;
	}
	if (n != mm->vmas.count || pages != mm->mapped_pages)
		audit_report(a, "an mm has %u VMAs of %lu pages, and counts %u of %lu", n, pages,
			     mm->vmas.count, mm->mapped_pages);
}

static void audit_mm(struct mm *mm, void *arg)
{
	struct audit *a = arg;
	struct page *pgd = virt_to_page(mm->pgd);
	unsigned long addr = 0;

	pgd->audit_mappings++;
	if (pgd->backend)
		pfn_to_page(pfn(pgd->backend))->audit_mappings++;
	check_layout(a, mm);
	if (rwsem_is_locked(&mm->mmap_lock) || spin_is_locked(&mm->page_table_lock))
		audit_report(a, "an mm is locked, and everybody is at rest");
	for (unsigned i = 0; i < PTRS_PER_TABLE / 2; i++, addr += PGD_SIZE)
		if (!pgd_none(mm->pgd[i]) && check_table(a, mm, mm->pgd[i].v, 3, addr))
			audit_pud_page(a, mm, mm->pgd[i], addr);
}

/* --- families: how many members they have --- */

static void forget_members(struct mm *mm, void *arg __unused)
{
	if (mm->family)
		mm->family->audit_members = 0;
}

static void find_member(struct mm *mm, void *arg __unused)
{
	if (mm->family)
		mm->family->audit_members++;
}

static void check_members(struct mm *mm, void *arg)
{
	const struct mm_family *f = mm->family;

	if (f && f->audit_members != atomic_read(&f->members))
		audit_report(arg, "a family counts %d members, and %d were found",
			     atomic_read(&f->members), f->audit_members);
}

static void audit_families(struct audit *a)
{
	for_each_mm(forget_members, a);
	for_each_mm(find_member, a);
	for_each_mm(check_members, a);
}

/* --- shared objects: who holds them --- */

static void check_holder(struct audit *a, const struct shmem *s, const char *who)
{
	if (s && !shmem_audit_holder(s))
		audit_report(a, "%s holds a shared object that is gone", who);
}

static void find_holding_vmas(struct mm *mm, void *arg)
{
	for (const struct vma *v = mm->vmas.first; v; v = v->next)
		check_holder(arg, v->shmem, "a VMA");
}

static const struct shmem *(*held_by_task)(const struct task *t);

void audit_count_holders(const struct shmem *(*of_task)(const struct task *t))
{
	held_by_task = of_task;
}

static void find_holding_wait(struct task *t, void *arg)
{
	check_holder(arg, held_by_task(t), "a futex wait");
}

static void check_references(unsigned refs, unsigned found, void *arg)
{
	if (refs != found)
		audit_report(arg, "a shared object has %u references, and %u were found", refs,
			     found);
}

static void audit_shared(struct audit *a)
{
	shmem_audit_begin();
	for_each_mm(find_holding_vmas, a);
	for_each_task(find_holding_wait, a);
	shmem_audit_end(check_references, a);
}

unsigned audit_shared_objects(void)
{
	struct audit a = {0};

	audit_first[0] = 0;
	audit_shared(&a);
	return a.violations;
}

static void count_shared(struct page *page)
{
	page->audit_mappings++;
}

unsigned audit_all(void)
{
	struct audit a = {0};

	audit_first[0] = 0;
	for (u64 i = 0; i < max_pfn; i++)
		pfn_to_page(pfn(i))->audit_mappings = 0;
	for_each_mm(audit_mm, &a);
	audit_families(&a);
	audit_shared(&a);
	shmem_for_each_page(count_shared);
	audit_frames(&a);
	return a.violations + pv_audit();
}
