/*
 * The ledger of owed invalidations; the rules are in owed.h. Debug builds only.
 */
#include "mm/frame/owed.h"

#ifdef CONFIG_DEBUG

#include "kernel/arch/preempt.h"
#include "kernel/debug/backtrace.h"
#include "kernel/debug/panic.h"
#include "kernel/sched/task.h"
#include "mm/table/pgtable.h"
#include "mm/table/tables.h"

static struct owed *ledger(void)
{
	return &current->owed;
}

/* --- what a TLB may know --- */

/* What the change from @old to @new takes from who knows @old; both as they are below their L2. */
static bool takes_away(pte_t old, pte_t new)
{
	if (!pte_present(old))
		return false;
	/* A CPU that knows the D bit writes without setting it again. */
	return pte_narrows(old, new) || (old.v ^ new.v) & PTE_MFN_MASK ||
	       (old.v & ~new.v &_PAGE_DIRTY);
}

/* Tests change entries on the stack; and at boot there is no struct page yet. */
static bool is_in_memory(const void *entry)
{
	return mem_map && (vaddr_t)entry - DIRECT_MAP < max_pfn << PAGE_SHIFT;
}

static bool is_linked_user_table(const struct page *table)
{
	return table->kind == PAGE_TABLE && table->covers != TABLE_UNLINKED;
}

/* --- the ledger --- */

/* True if the two can be one span. */
static bool touches(const struct owed_span *s, const struct owed_span *n)
{
	return s->mm == n->mm && n->start <= s->end && n->end >= s->start;
}

/* Where @n goes: a span that it continues, a free slot, or, as a last resort, any of its mm. All
 * tables of one change are invalidated together, so that a span over a gap asks for nothing more.
 */
static struct owed_span *place_for(struct owed *o, const struct owed_span *n)
{
	struct owed_span *place = NULL;

	for (struct owed_span *s = o->span; s < o->span + OWED_SPANS; s++) {
		if (touches(s, n))
			return s;
		if (!s->mm && (!place || place->mm))
			place = s;
		else if (s->mm == n->mm && !place)
			place = s;
	}
	BUG_ON(!place);
	return place;
}

static void add_span(const struct mm *mm, unsigned long start, unsigned long end, unsigned long by)
{
	struct owed_span n = {mm, start, end, by}, *s;

	preempt_disable();
	s = place_for(ledger(), &n);
	if (s->mm) {
		n.start = min(n.start, s->start);
		n.end = max(n.end, s->end);
	}
	*s = n;
	preempt_enable();
}

static struct owed_block *find_block(const struct mm *mm, unsigned long addr)
{
	struct owed *o = ledger();

	for (struct owed_block *b = o->block; b < o->block + OWED_BLOCKS; b++)
		if (b->mm == mm && b->start == pmd_start(addr))
			return b;
	return NULL;
}

static void add_page(const struct mm *mm, unsigned long addr, unsigned long by)
{
	struct owed_block *b;

	preempt_disable();
	b = find_block(mm, addr);
	if (!b) {
		b = find_block(NULL, 0);
		BUG_ON(!b);
		*b = (struct owed_block){.mm = mm, .start = pmd_start(addr)};
	}
	b->pages[pte_index(addr) / 64] |= BIT(pte_index(addr) % 64);
	b->by = by;
	preempt_enable();
}

/* The part of @s that [start, end) does not cover; one in the middle is not cut out. */
static void cut(struct owed_span *s, unsigned long start, unsigned long end)
{
	if (start <= s->start && end >= s->end)
		s->mm = NULL;
	else if (start <= s->start && end > s->start)
		s->start = end;
	else if (end >= s->end && start < s->end)
		s->end = start;
}

/* Bits [first, end) of a word. */
static u64 bits(unsigned first, unsigned end)
{
	return (end < 64 ? BIT(end) : 0) - BIT(first);
}

/* A block of which nothing is owed becomes free: its mm NULL, its start 0. */
static void settle_block(struct owed_block *b, unsigned long start, unsigned long end)
{
	u64 left = 0;

	start = max(start, b->start);
	end = min(end, b->start + PMD_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(b->pages); i++) {
		unsigned long word = b->start + i * 64 * PAGE_SIZE;
		unsigned long first = max(start, word), last = min(end, word + 64 * PAGE_SIZE);

		if (first < last)
			b->pages[i] &= ~bits((first - word) / PAGE_SIZE, (last - word) / PAGE_SIZE);
		left |= b->pages[i];
	}
	if (!left)
		*b = (struct owed_block){0};
}

void owed_settle(const struct tlb_flush *f)
{
	struct owed *o = ledger();

	if (in_interrupt())
		return;
	preempt_disable();
	for (struct owed_block *b = o->block; b < o->block + OWED_BLOCKS; b++)
		if (b->mm == f->mm)
			settle_block(b, f->start, f->end);
	for (struct owed_span *s = o->span; s < o->span + OWED_SPANS; s++)
		if (s->mm == f->mm)
			cut(s, f->start, f->end);
	if (f->freed_tables && o->tables == f->mm)
		o->tables = NULL;
	preempt_enable();
}

void owed_forget(const struct mm *mm)
{
	owed_settle(&(struct tlb_flush){
		.mm = (struct mm *)mm, .end = TLB_FLUSH_ALL, .freed_tables = true});
}

static void __noreturn panic_owed(const char *where, unsigned long start, unsigned long end,
				  unsigned long by)
{
	char who[80];

	symbol_name(by, who, sizeof(who));
	panic("%s while the invalidation of %#lx-%#lx is owed, by %s", where, start, end, who);
}

/* Says the first run of pages that are owed. */
static void __noreturn panic_owed_block(const char *where, const struct owed_block *b)
{
	unsigned first = 0, end;

	while (!test_bit(b->pages, first))
		first++;
	for (end = first; end < PTRS_PER_TABLE && test_bit(b->pages, end); end++)
		;
	panic_owed(where, b->start + first * PAGE_SIZE, b->start + end * PAGE_SIZE, b->by);
}

void owed_assert_nothing(const char *where)
{
	const struct owed *o = ledger();

	if (in_interrupt())
		return;
	for (const struct owed_block *b = o->block; b < o->block + OWED_BLOCKS; b++)
		if (b->mm)
			panic_owed_block(where, b);
	for (const struct owed_span *s = o->span; s < o->span + OWED_SPANS; s++)
		if (s->mm)
			panic_owed(where, s->start, s->end, s->by);
	if (o->tables)
		panic("%s while tables are unlinked, and CPUs that have them loaded know them",
		      where);
}

/* --- the entries of PTE pages --- */

static bool is_owed(const struct mm *mm, unsigned long addr)
{
	const struct owed_block *b = find_block(mm, addr);
	const struct owed *o = ledger();

	if (b && test_bit(b->pages, pte_index(addr)))
		return true;
	for (const struct owed_span *s = o->span; s < o->span + OWED_SPANS; s++)
		if (s->mm == mm && s->start <= addr && addr < s->end)
			return true;
	return false;
}

/*
 * Another frame takes the place of one that a CPU may still know: with several threads one could
 * write the new page while another reads the old.
 */
static void assert_known_by_nobody(const struct mm *mm, unsigned long addr, pte_t old, pte_t new)
{
	bool replaces = pte_present(old) && (old.v ^ new.v) & PTE_MFN_MASK;

	if (!pte_present(new) || atomic_read(&mm->users) < 2)
		return;
	if (replaces || is_owed(mm, addr))
		panic("entry %#lx for %#lx is set while %#lx may still be known", new.v, addr,
		      old.v);
}

/* An entry before and after. */
struct pte_change {
	pte_t old, new;
};

/* Entry @i of @table, which L2 entry @pmd links, changes by @c. @by: whose doing. */
static void record_pte(const struct page *table, unsigned i, struct pte_change c, pmd_t pmd,
		       unsigned long by)
{
	unsigned long addr = table->covers + i * PAGE_SIZE;

	if ((c.old.v ^ c.new.v) & PTE_MFN_MASK)
		assert_known_by_nobody(table->table_mm, addr, c.old, c.new);
	if (takes_away(pte_narrow(c.old, pmd), pte_narrow(c.new, pmd)))
		add_page(table->table_mm, addr, by);
}

void owed_ptes(const pte_t *ptep, const pte_t *new, unsigned n, enum owed_change change)
{
	unsigned long by = (unsigned long)__builtin_return_address(0);
	const struct page *table;
	unsigned first;
	const pmd_t *pmd;

	if (!is_in_memory(ptep) || in_interrupt())
		return;
	table = virt_to_page(ptep);
	if (!is_linked_user_table(table))
		return;
	first = ((vaddr_t)ptep & ~PAGE_MASK) / sizeof(*ptep);
	pmd = pmd_find(table->table_mm, table->covers);
	for (unsigned i = 0; i < n; i++) {
		pte_t old = {READ_ONCE(ptep[i].v)};
		u64 kept = change == OWED_KEEPS_AD ? old.v & _PAGE_AD : 0;

		record_pte(table, first + i, (struct pte_change){old, {new[i].v | kept}}, *pmd, by);
	}
}

/* --- links --- */

/* What the entries of a table of @level cover each. */
static unsigned long size_below(unsigned level)
{
	return PAGE_SIZE << 9 * (level - 1);
}

static struct page *linked_page(u64 entry)
{
	return pfn_to_page(mfn_to_pfn(maddr_to_mfn((maddr_t){entry & PTE_MFN_MASK})));
}

static bool is_empty_table(const struct page *table)
{
	const pte_t *e = page_to_virt(table);

	for (unsigned i = 0; i < PTRS_PER_TABLE; i++)
		if (!pte_none((pte_t){READ_ONCE(e[i].v)}))
			return false;
	return true;
}

/*
 * The table that @old linked is out of reach. What it mapped must be forgotten; of an empty one the
 * caches of the page walks know the link, and any invalidation drops that, by whatever address
 * (Intel SDM vol. 3, 4.10.4.1).
 */
static void record_unlink(const struct page *parent, u64 old, unsigned long addr, unsigned long by)
{
	struct page *table = linked_page(old);

	if (!is_empty_table(table))
		add_span(parent->table_mm, addr, addr + size_below(parent->level), by);
	ledger()->tables = parent->table_mm;
	table->covers = TABLE_UNLINKED;
}

bool links_may_change(const struct mm *mm)
{
	return lockdep_is_held(&mm->page_table_lock) ||
	       (mm != current->mm && lockdep_is_held(&mm->mmap_lock));
}

/* The rights in a link of a PTE page belong to the lock of that page. */
static void assert_may_link(const struct mm *mm, u64 old, u64 new)
{
	if (!((old | new) & _PAGE_PRESENT))
		return;
	if (!((old ^ new) & (PTE_MFN_MASK | _PAGE_PRESENT)))
		BUG_ON(!lockdep_is_held(&linked_page(new)->ptl));
	else
		BUG_ON(!links_may_change(mm));
}

static void record_link(const struct page *parent, const u64 *entry, u64 old, unsigned long by)
{
	unsigned index = ((vaddr_t)entry & ~PAGE_MASK) / sizeof(*entry);
	unsigned long addr = parent->covers + index * size_below(parent->level);
	u64 new = READ_ONCE(*entry);

	assert_may_link(parent->table_mm, old, new);
	ASSERT(parent->covers != TABLE_UNLINKED); /* links are made downwards */
	if ((old & _PAGE_PRESENT) && (old ^ new) & (PTE_MFN_MASK | _PAGE_PRESENT))
		record_unlink(parent, old, addr, by);
	else if (takes_away((pte_t){old | _PAGE_DIRTY}, (pte_t){new | _PAGE_DIRTY}))
		add_span(parent->table_mm, addr, addr + size_below(parent->level), by);
	if (new &_PAGE_PRESENT)
		linked_page(new)->covers = addr;
}

void owed_tables_begin(const struct table_change *change, unsigned n)
{
	BUG_ON(n > TABLE_CHANGES_MAX);
	for (unsigned i = 0; mem_map && i < n; i++)
		ledger()->old[i] = READ_ONCE(*(const u64 *)change[i].entry);
}

/* Unlinks first: a table that is moved is linked again by the same call. */
void owed_tables_end(const struct table_change *change, unsigned n)
{
	unsigned long by = (unsigned long)__builtin_return_address(0);

	for (unsigned i = 0; mem_map && i < n; i++) {
		const struct page *parent = virt_to_page(change[i].entry);

		if (parent->kind == PAGE_TABLE)
			record_link(parent, change[i].entry, ledger()->old[i], by);
	}
}

#endif
