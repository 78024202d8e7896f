/*
 * The state machine of the lazy MMU mode; its contract is in lazy_mmu.h.
 *
 * No locks: the word is the task's own.
 */
#include "mm/lazy/lazy_mmu.h"

#include "kernel/arch/irqflags.h"
#include "kernel/debug/counters.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/debug/trace.h"
#include "mm/frame/owed.h"

bool lazy_mmu_enabled = true;

/* What enter returns in an interrupt, so that its leave does nothing either. */
#define LAZY_MMU_IGNORED ((lazy_mmu_state_t){2})

static void set_word(lazy_mmu_word_t w)
{
	WRITE_ONCE(current->lazy_mmu, w);
	preempt_point();
}

/* Not analysed: this is the role's own code. */
lazy_mmu_state_t arch_enter_lazy_mmu_mode(void) __no_thread_safety
{
	lazy_mmu_word_t w = current->lazy_mmu;

	if (unlikely(in_interrupt()))
		return LAZY_MMU_IGNORED;
	lockdep_assert_held_class(LOCK_PTE);
	if (unlikely(w & LAZY_PAUSE_MASK)) {
		BUG_ON((w & LAZY_INNER_MASK) == LAZY_INNER_MASK);
		set_word(w + LAZY_INNER_ONE);
		return w & LAZY_INNER_MASK ? LAZY_MMU_NESTED : LAZY_MMU_DEFAULT;
	}
	BUG_ON((w & LAZY_DEPTH_MASK) == LAZY_DEPTH_MASK);
	set_word(w + LAZY_DEPTH_ONE);
	if (!(w & LAZY_DEPTH_MASK))
		trace(TRACE_LAZY, 0, 0, 0);
	return w & LAZY_DEPTH_MASK ? LAZY_MMU_NESTED : LAZY_MMU_DEFAULT;
}

/* Leave inside a pause: only the depth of the sections opened in it. */
static void leave_paused(lazy_mmu_word_t w, bool nested)
{
	BUG_ON(nested && !(w & LAZY_INNER_MASK));
	set_word(nested ? w - LAZY_INNER_ONE : w & ~LAZY_INNER_MASK);
}

/* Not analysed: this is the role's own code. */
void arch_leave_lazy_mmu_mode(lazy_mmu_state_t state) __no_thread_safety
{
	bool nested = state.opaque == LAZY_MMU_NESTED.opaque;
	lazy_mmu_word_t w = current->lazy_mmu;

	if (unlikely(in_interrupt() || state.opaque == LAZY_MMU_IGNORED.opaque))
		return;
	lockdep_assert_held_class(LOCK_PTE);
	if (unlikely(w & LAZY_PAUSE_MASK)) {
		leave_paused(w, nested);
		return;
	}
	BUG_ON(!(w & LAZY_DEPTH_MASK));
	BUG_ON(nested && (w & LAZY_DEPTH_MASK) == LAZY_DEPTH_ONE);
	batch_flush();
	owed_assert_nothing("a section is left");
	set_word(nested ? w - LAZY_DEPTH_ONE : w & ~LAZY_DEPTH_MASK);
	count(nested ? CNT_LAZY_NESTED : CNT_LAZY_SECTIONS);
	if (!nested)
		trace(TRACE_LAZY_END, 0, 0, 0);
}

void arch_flush_lazy_mmu_mode(void)
{
	if (!in_interrupt())
		batch_flush();
}

void lazy_mmu_mode_pause(void)
{
	lazy_mmu_word_t w = current->lazy_mmu;

	if (in_interrupt())
		return;
	BUG_ON((w & LAZY_PAUSE_MASK) == LAZY_PAUSE_MASK);
	batch_flush();
	set_word(w + LAZY_PAUSE_ONE);
	if (lazy_mmu_word_active(w))
		trace(TRACE_PAUSE, 0, 0, 0);
}

void lazy_mmu_mode_resume(void)
{
	lazy_mmu_word_t w = current->lazy_mmu;

	if (in_interrupt())
		return;
	BUG_ON(!(w & LAZY_PAUSE_MASK));
	w -= LAZY_PAUSE_ONE;
	/* A section opened inside the outermost pause must have been closed in it. */
	BUG_ON(!(w & LAZY_PAUSE_MASK) && (w & LAZY_INNER_MASK));
	set_word(w);
	if (lazy_mmu_word_active(w))
		trace(TRACE_RESUME, 0, 0, 0);
}

void lazy_mmu_context_switch(void)
{
	ASSERT(!irqs_disabled());
	if (likely(batch_is_empty()))
		return;
	count(CNT_SWITCH_FLUSHES);
	batch_flush();
	ASSERT(batch_is_empty());
}

void lazy_mmu_assert_clean(void)
{
	if (current->lazy_mmu)
		panic("task %s ends with lazy state %#x", current->name, current->lazy_mmu);
	preempt_disable();
	if (!batch_is_empty())
		panic("task %s ends with updates in the queue", current->name);
	preempt_enable();
	owed_assert_nothing("a task ends");
}

static void report_lazy_mmu(const struct panic_context *unused __unused)
{
	lazy_mmu_word_t w = current->lazy_mmu;

	printk("# lazy: word %#x: depth %u, paused %u, inside the pause %u; %s\n", w,
	       w & LAZY_DEPTH_MASK, (w & LAZY_PAUSE_MASK) / LAZY_PAUSE_ONE,
	       (w & LAZY_INNER_MASK) / LAZY_INNER_ONE,
	       is_lazy_mmu_mode_active() ? "active" : "not active");
}
PANIC_REPORT(40, report_lazy_mmu);
