/*
 * Event counters: one 64-bit word per CPU each, incremented by a single instruction, summed when
 * read. The names below are those of the JSON report (`./pteron run --json`) and are kept.
 */
#pragma once

#include "kernel/arch/percpu.h"

/* clang-format off */
#define COUNTERS(X)                                                                                \
	X(PAGE_FAULTS, page_faults, "page faults of user mode and of user copies that were served") \
	X(MMAP_LOCK_FAULTS, mmap_lock_faults, "faults that needed mmap_lock")                      \
	X(SPURIOUS_FAULTS, spurious_faults, "faults that found the entry already fixed")           \
	X(REFUSED_FAULTS, refused_faults, "faults without a mapping or right")                     \
	X(KILLED_TASKS, killed_tasks, "processes ended by an exception")                           \
	X(PTE_UPDATES, pte_updates, "PTE writes asked of the pv table")                            \
	X(PTE_COALESCED, pte_coalesced, "queued PTE writes replaced by a later one")               \
	X(LAZY_SECTIONS, lazy_sections, "outermost lazy sections left")                            \
	X(LAZY_NESTED, lazy_nested, "nested lazy sections left")                                   \
	X(BATCHES, batches, "batches issued with at least one update or invalidation")             \
	X(SWITCH_FLUSHES, switch_flushes, "batches that a context switch had to issue")            \
	X(SECTION_PREEMPTED, sections_preempted, "context switches inside a lazy section")         \
	X(SECTION_MIGRATED, sections_migrated, "tasks that changed CPU inside a lazy section")     \
	X(SHOOTDOWNS, shootdowns, "TLB invalidations that involved another CPU")                   \
	X(TLB_FLUSHES, tlb_flushes, "TLB invalidations asked for")                                 \
	X(TLB_GENERATION_FLUSHES, tlb_generation_flushes, "flushes on return, by generation")      \
	X(IPIS, ipis, "inter-processor interrupts sent")                                           \
	X(HYPERCALLS, hypercalls, "hypercalls made")                                               \
	X(HYPERCALL_STOPS, hypercall_stops, "calls that stopped in the middle for an event")       \
	X(SHADOW_FILLS, shadow_fills, "faults that the shadow tables alone were missing")          \
	X(OOM_KILLS, oom_kills, "processes ended for want of memory")                              \
	X(SHADOW_RECLAIMS, shadow_reclaims, "shadow tables taken for want of frames")              \
	X(MMU_UPDATES, mmu_updates, "mmu_update calls, alone or in a multicall")                   \
	X(MMU_UPDATE_ENTRIES, mmu_update_entries, "entries of mmu_update calls")                   \
	X(TABLE_UPDATES, table_updates, "of these calls, those for upper levels")                  \
	X(MULTICALLS, multicalls, "multicalls, each one hypercall")                                \
	X(EMULATED_WRITES, emulated_writes, "PTE stores left to the hypervisor to emulate")        \
	X(LATE_FLUSHES, late_flushes, "invalidations repeated for CPUs that came in between")      \
	X(CONTEXT_SWITCHES, context_switches, "context switches")                                  \
	X(MIGRATIONS, migrations, "tasks moved to another CPU")                                    \
	X(TIMER_TICKS, timer_ticks, "timer interrupts")                                            \
	X(SYSCALLS, syscalls, "system calls")                                                      \
	X(LOCK_CONTENDED, lock_contended, "acquisitions of a lock that had to wait")               \
	X(PAGES_ALLOCATED, pages_allocated, "page frames allocated")                               \
	X(DEVICE_PAGES, device_pages, "entries that map fixed frames")                             \
	X(COW_COPIES, cow_copies, "copy-on-write faults that copied")                              \
	X(COW_REUSES, cow_reuses, "copy-on-write faults that reused the page")                     \
	X(TABLES_PROTECTED, tables_protected, "PTE pages write-protected by their L2 entry")       \
	X(TABLES_PUSHED_DOWN, tables_pushed_down, "of these, those whose entries had to follow")   \
	X(TABLES_SWUNG, tables_swung, "and those of which a changed copy took the place")          \
	X(TABLES_FILLED, tables_filled, "PTE pages filled before they were linked")                \
	X(TABLES_DROPPED, tables_dropped, "PTE pages unlinked with what they mapped")              \
	X(TABLES_MOVED, tables_moved, "PTE pages moved by their link")                             \
	X(TABLES_SHIFTED, tables_shifted, "PTE pages unlinked to have their entries moved")        \
	X(FORKS, forks, "address spaces copied")                                                   \
	METER_COUNTERS(X)
#ifdef CONFIG_METER
#define METER_COUNTERS(X) X(HYPERVISOR_TICKS, hypervisor_ticks, "ticks in hypercalls")
#else
#define METER_COUNTERS(X)
#endif
/* clang-format on */

enum counter {
#define X(id, name, what) CNT_##id,
	COUNTERS(X)
#undef X
		NR_COUNTERS,
};

DECLARE_PER_CPU(u64, cpu_counters[NR_COUNTERS]);

static inline void count_n(enum counter c, u64 n)
{
	this_cpu_add64(cpu_counters[c], n);
}

static inline void count(enum counter c)
{
	this_cpu_inc64(cpu_counters[c]);
}

/* As in the machine-readable line; @c is a counter. */
const char *counter_name(enum counter c);
/* The sum over all CPUs; exact only while nothing runs that counts. */
u64 counter_sum(enum counter c);
/* Print a machine-readable line with one counter. */
void counter_report(enum counter c);
/* The same with all counters, and with the batch sizes. */
void counters_report(void);
