/*
 * The lazy MMU mode: batching of page-table updates and TLB invalidations.
 *
 *	pte = pte_offset_map_lock(pmd, addr, &ptl);
 *	state = arch_enter_lazy_mmu_mode();
 *	... ptep_get, set_pte_at, flush_tlb_range ...
 *	arch_leave_lazy_mmu_mode(state);
 *	pte_unmap_unlock(pte, ptl);
 *
 * The one rule, from the patch that brought the mode to Linux in 2006: a section is entered and
 * left under the lock of the page tables that it changes. Then no other CPU can act on entries
 * whose update is still queued, and a fault that another CPU takes meanwhile re-checks the PTE under
 * the same lock and finds the result.
 *
 *  - The outermost enter starts batching; a nested one keeps it.
 *  - After any leave everything set before is effective. Leaving a nested section stays lazy.
 *  - Leaving with LAZY_MMU_DEFAULT ends the mode at any depth.
 *  - pause issues the queue and ends the mode; the resume that matches it restores the depth it
 *    found. While paused, enter, leave, pause and resume change nothing but their own depth.
 *  - In an interrupt the mode is never active, and these calls do nothing.
 *  - A context switch issues the queue of its CPU, always.
 *
 * The mode belongs to the task, in one word that each call changes by one store. The queue belongs
 * to the CPU. So there is no moment at which a preemption finds the one changed and the other not.
 *
 * Deviation from Linux: the state machine is the same for all backends and not a pv op; what
 * differs is only how a batch is issued.
 */
#pragma once

#include "kernel/arch/preempt.h"
#include "kernel/sched/task.h"
#include "kernel/sync/thread_safety.h"
#include "mm/types/lazy_mmu_types.h"

/*
 * The mode was off before enter; a leave with it ends the mode at any depth. Linux 7 has no such
 * value: who needs the mode off inside a section calls lazy_mmu_mode_pause(), as here.
 */
#define LAZY_MMU_DEFAULT ((lazy_mmu_state_t){0})
/* The mode was on before enter. Linux 7 asks its enable_count at lazy_mmu_mode_disable() instead. */
#define LAZY_MMU_NESTED ((lazy_mmu_state_t){1})

#define LAZY_DEPTH_ONE 0x000001u
#define LAZY_DEPTH_MASK 0x0000ffu
#define LAZY_PAUSE_ONE 0x000100u
#define LAZY_PAUSE_MASK 0x00ff00u
#define LAZY_INNER_ONE 0x010000u
#define LAZY_INNER_MASK 0xff0000u

/* The boot parameter lazy=: off makes every update effective at once. */
extern bool lazy_mmu_enabled;

static inline bool lazy_mmu_word_active(lazy_mmu_word_t w)
{
	static_assert(LAZY_DEPTH_ONE == 1 && LAZY_PAUSE_ONE == LAZY_DEPTH_MASK + 1, "");
	/* A depth, and no pause above it. */
	return (u16)(w - LAZY_DEPTH_ONE) < LAZY_DEPTH_MASK;
}

/* True if updates of the calling context are queued. Linux 7 has it by this name. */
static inline bool is_lazy_mmu_mode_active(void)
{
	return lazy_mmu_word_active(current->lazy_mmu) && !in_interrupt() && lazy_mmu_enabled;
}

/*
 * Begin a section; the lock of every PTE page it will change is held. Linux 7:
 * lazy_mmu_mode_enable(); arch_enter_lazy_mmu_mode() is there what the outermost one calls.
 */
lazy_mmu_state_t arch_enter_lazy_mmu_mode(void) __must_hold(ptl_role) __acquires(lazy_mmu_role);
/*
 * End the section that returned @state; the same locks are still held. Linux 7:
 * lazy_mmu_mode_disable(); arch_leave_lazy_mmu_mode() is there what the outermost one calls.
 */
void arch_leave_lazy_mmu_mode(lazy_mmu_state_t state) __must_hold(ptl_role)
	__releases(lazy_mmu_role);
/*
 * Make what is queued effective, and stay lazy. Linux 7 calls its own at the end of an inner
 * section.
 */
void arch_flush_lazy_mmu_mode(void);
/*
 * Issue the queue and leave the mode, at whatever depth, until the lazy_mmu_mode_resume() that
 * matches; pauses nest. Linux 7 has both by these names.
 */
void lazy_mmu_mode_pause(void);
/* End the pause that lazy_mmu_mode_pause() began: the mode is again what it was then. */
void lazy_mmu_mode_resume(void);

/* By the scheduler, before each switch. Preemption off, interrupts on. */
void lazy_mmu_context_switch(void);
/* At the end of a task: panics unless its lazy state is clean and the queue empty. */
void lazy_mmu_assert_clean(void);
