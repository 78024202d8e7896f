/*
 * The state machine of the lazy MMU mode; its contract is in lazy_mmu.h.
 *
 * No locks: the word is the task's own.
 */
#include "mm/lazy_mmu.h"

#include "kernel/counters.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/seeded.h"
#include "mm/owed.h"

bool lazy_mmu_enabled = true;

/* What enter returns in an interrupt, so that its leave does nothing either. */
#define LAZY_MMU_IGNORED ((lazy_mmu_state_t){2})

#ifdef CONFIG_BUGS
/*
 * What the design leaves out, for the bugs that need it: a CPU has a mode of its own beside the
 * task's counter, as Linux's Xen backend has, and a switch leaves it and enters it again.
 */
static DEFINE_PER_CPU(bool, cpu_mode);
DEFINE_PER_CPU(lazy_mmu_word_t, lazy_mmu_cpu_word);

static void enter_cpu_mode(void)
{
	preempt_disable();
	BUG_ON(this_cpu_read(cpu_mode));
	this_cpu_write(cpu_mode, true);
	preempt_enable();
}

static void leave_cpu_mode(void)
{
	preempt_disable();
	BUG_ON(!this_cpu_read(cpu_mode));
	this_cpu_write(cpu_mode, false);
	preempt_enable();
}

static bool has_cpu_mode(void)
{
	return seeded(BUG_REENTER_ON_ENTER) || seeded(BUG_REENTER_ON_LEAVE);
}

/* The counter changes from @from to @to; the bug is where a preemption finds the one and not the
 * other. */
static void set_word_and_cpu_mode(lazy_mmu_word_t from, lazy_mmu_word_t to)
{
	bool enters = !lazy_mmu_word_active(from) && lazy_mmu_word_active(to);
	bool leaves = lazy_mmu_word_active(from) && !lazy_mmu_word_active(to);
	bool open = seeded(enters ? BUG_REENTER_ON_ENTER : BUG_REENTER_ON_LEAVE);

	if (!open)
		preempt_disable();
	WRITE_ONCE(current->lazy_mmu, to);
	preempt_point();
	if (enters)
		enter_cpu_mode();
	if (leaves)
		leave_cpu_mode();
	if (!open)
		preempt_enable();
}

void lazy_mmu_switched_in(void)
{
	if (has_cpu_mode())
		this_cpu_write(cpu_mode, lazy_mmu_word_active(current->lazy_mmu));
}

#endif

static void set_word(lazy_mmu_word_t w)
{
#ifdef CONFIG_BUGS
	if (has_cpu_mode()) {
		set_word_and_cpu_mode(current->lazy_mmu, w);
		return;
	}
#endif
	WRITE_ONCE(*lazy_mmu_word(), w);
	preempt_point();
}

lazy_mmu_state_t arch_enter_lazy_mmu_mode(void) __no_thread_safety
{
	lazy_mmu_word_t w = *lazy_mmu_word();

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
	return w & LAZY_DEPTH_MASK ? LAZY_MMU_NESTED : LAZY_MMU_DEFAULT;
}

/* Leave inside a pause: only the depth of the sections opened in it. */
static void leave_paused(lazy_mmu_word_t w, bool nested)
{
	BUG_ON(nested && !(w & LAZY_INNER_MASK));
	set_word(nested ? w - LAZY_INNER_ONE : w & ~LAZY_INNER_MASK);
}

void arch_leave_lazy_mmu_mode(lazy_mmu_state_t state) __no_thread_safety
{
	bool nested = state.opaque == LAZY_MMU_NESTED.opaque;
	lazy_mmu_word_t w = *lazy_mmu_word();

	if (unlikely(in_interrupt() || state.opaque == LAZY_MMU_IGNORED.opaque))
		return;
	lockdep_assert_held_class(LOCK_PTE);
	if (unlikely(w & LAZY_PAUSE_MASK)) {
		leave_paused(w, nested);
		return;
	}
	if (seeded(BUG_LEAVE_IGNORED) && current->tid % 4 == 0)
		return;
	if (seeded(BUG_INNER_LEAVE_ENDS))
		nested = false;
	BUG_ON(!(w & LAZY_DEPTH_MASK));
	BUG_ON(nested && (w & LAZY_DEPTH_MASK) == LAZY_DEPTH_ONE);
	batch_flush();
	owed_assert_nothing("a section is left");
	set_word(nested ? w - LAZY_DEPTH_ONE : w & ~LAZY_DEPTH_MASK);
	count(nested ? CNT_LAZY_NESTED : CNT_LAZY_SECTIONS);
}

void arch_flush_lazy_mmu_mode(void)
{
	if (!in_interrupt())
		batch_flush();
}

void lazy_mmu_mode_pause(void)
{
	lazy_mmu_word_t w = *lazy_mmu_word();

	if (in_interrupt())
		return;
	BUG_ON((w & LAZY_PAUSE_MASK) == LAZY_PAUSE_MASK);
	if (!seeded(BUG_PAUSE_NO_FLUSH))
		batch_flush();
	set_word(w + LAZY_PAUSE_ONE);
}

void lazy_mmu_mode_resume(void)
{
	lazy_mmu_word_t w = *lazy_mmu_word();

	if (in_interrupt())
		return;
	BUG_ON(!(w & LAZY_PAUSE_MASK));
	w -= LAZY_PAUSE_ONE;
	/* A section opened inside the outermost pause must have been closed in it. */
	BUG_ON(!(w & LAZY_PAUSE_MASK) && (w & LAZY_INNER_MASK));
	if (seeded(BUG_NO_RESUME))
		w &= ~LAZY_DEPTH_MASK;
	set_word(w);
}

void lazy_mmu_context_switch(void)
{
	ASSERT(!irqs_disabled());
	if (likely(batch_is_empty()) || seeded(BUG_SWITCH_NO_FLUSH))
		return;
	count(CNT_SWITCH_FLUSHES);
	batch_flush();
	ASSERT(batch_is_empty());
}

void lazy_mmu_assert_clean(void)
{
	if (*lazy_mmu_word())
		panic("task %s ends with lazy state %#x", current->name, *lazy_mmu_word());
	preempt_disable();
	if (!batch_is_empty())
		panic("task %s ends with updates in the queue", current->name);
	preempt_enable();
	owed_assert_nothing("a task ends");
}

void lazy_mmu_print(void)
{
	lazy_mmu_word_t w = *lazy_mmu_word();

	printk("# lazy: word %#x: depth %u, paused %u, inside the pause %u; %s\n", w,
	       w & LAZY_DEPTH_MASK, (w & LAZY_PAUSE_MASK) / LAZY_PAUSE_ONE,
	       (w & LAZY_INNER_MASK) / LAZY_INNER_ONE,
	       is_lazy_mmu_mode_active() ? "active" : "not active");
}
