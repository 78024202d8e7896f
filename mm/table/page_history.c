/*
 * The history of a page; see page_history.h. No locks: what the trace holds may be overwritten
 * while it is read.
 */
#include "mm/table/page_history.h"

#include "kernel/arch/current.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/sched/task.h"
#include "mm/table/pgtable.h"

#ifdef CONFIG_DEBUG

/* Which events are asked for. */
struct selection {
	u64 context, page, frame; /* frame: an entry's address bits; 0: none */
};

static bool names_an_entry(const struct trace_event *e)
{
	return e->kind == TRACE_SET || e->kind == TRACE_CLEAR || e->kind == TRACE_MODIFY;
}

static bool is_selected(const struct trace_event *e, const void *selection)
{
	const struct selection *s = selection;

	if (names_an_entry(e) && s->frame && (e->value & PTE_MFN_MASK) == s->frame)
		return true;
	if (e->context != s->context || e->kind == TRACE_SWITCH)
		return false;
	if (e->kind == TRACE_FLUSH || e->kind == TRACE_OWE)
		return e->addr <= s->page && s->page < e->value;
	if (e->kind == TRACE_TABLE)
		return e->addr == pmd_start(s->page);
	return (e->addr & PAGE_MASK) == s->page;
}

unsigned page_history_collect(const struct mm *mm, unsigned long addr, struct trace_event *out,
			      unsigned max)
{
	struct selection s = {.context = mm->tlb.context, .page = addr & PAGE_MASK};
	unsigned n = trace_collect(is_selected, &s, out, max);

	while (n && !(names_an_entry(&out[n - 1]) && out[n - 1].value & PTE_MFN_MASK))
		n--;
	s.frame = n ? out[n - 1].value & PTE_MFN_MASK : 0;
	return trace_collect(is_selected, &s, out, max);
}

void page_history_print(const struct mm *mm, unsigned long addr)
{
	struct trace_event e[TRACE_SHOWN];
	unsigned n = page_history_collect(mm, addr, e, TRACE_SHOWN);

	printk("    # history of the page at %#lx in mm %lu, and of its frame; TSC ticks before "
	       "the last:\n",
	       addr & PAGE_MASK, mm->tlb.context);
	trace_print(e, n);
}

static void report_page(const struct panic_context *c)
{
	if (c->addr && current->mm)
		page_history_print(current->mm, c->addr);
}
PANIC_REPORT(11, report_page);

#endif
