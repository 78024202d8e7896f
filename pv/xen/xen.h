/*
 * The Xen PV backend: what its files share.
 */
#pragma once

#include "kernel/arch/percpu.h"
#include "mm/types/tlb_types.h"
#include "pv/pv_ops.h"
#include "pv/xen/hypercall.h"

/* Legacy vCPUs, whose vcpu_info lies at first in the shared page. */
#define XEN_MAX_VCPUS XEN_LEGACY_MAX_VCPUS

extern struct start_info *xen_start_info;
extern const u64 *xen_p2m; /* machine frames by pfn */
extern struct shared_info *xen_shared_info;

/* Rights of the kernel's own mappings: no global pages for a PV guest. */
#define XEN_KERNEL_RO (_PAGE_KERNEL_RO & ~_PAGE_GLOBAL)
#define XEN_KERNEL_RW (_PAGE_KERNEL & ~_PAGE_GLOBAL)

/* mmu.c */
/* Changes of page tables become hypercalls; updates of a section are queued. */
void xen_mmu_setup(void);
/* frames.asm: where frame @pfn, of memory, lies in the machine. */
__callee_save u64 xen_pfn_to_mfn(u64 pfn);
/* frames.asm: back, by Xen's own table; @mfn must be a frame of this domain. */
__callee_save u64 xen_mfn_to_pfn(u64 mfn);
/* ptwr.c */
/* After xen_mmu_setup(): changes of entries become plain stores, which Xen emulates. */
void xen_ptwr_setup(void);
/* Of the two that there are on Xen; false if it is neither. */
bool xen_select_backend(const char *name);

/* tlb.c: one invalidation, whose hypercall may go in a multicall of the caller's. */
struct xen_flush {
	struct tlb_flush *f;
	cpumask_t cpus; /* concerned before the updates */
	bool any;	/* there are such CPUs, and op must be carried out */
	u64 generation; /* before the updates */
	struct mmuext_op op;
};
/* Invalidations become hypercalls. */
void xen_tlb_setup(void);
/* Before the updates: fill @x; false: no vCPU is concerned yet. */
bool xen_flush_prepare(struct xen_flush *x, struct tlb_flush *f);
/* After xen_flush_prepare() was true: it is of one page, and of this vCPU's TLB alone. */
bool xen_flush_is_here(const struct xen_flush *x);
/*
 * After the updates, and after the flush if there were vCPUs for it: @err is what the hypercall
 * gave; panics if it was refused. Then vCPUs that came meanwhile are flushed.
 */
void xen_flush_complete(struct xen_flush *x, long err);

/* cpu.c: what a boot needs, in this order. */
/* @si's shared page is mapped, and the pv table filled: hypercalls and the console work. */
void xen_setup(struct start_info *si);
/* Exceptions, events and system calls come here. */
void xen_set_traps(void);
/* Whether Xen emulates stores to page tables. */
void xen_set_writable_tables(bool on);
/* User mode's segments. After the final direct map. */
void xen_set_gdt(void);
/* Per-CPU memory for as many vCPUs as Xen has for us, @max at most. */
void xen_prepare_vcpus(unsigned max);
/* The idle tasks; then start the vCPUs one after the other. */
void xen_start_vcpus(void);

/* tables.c */
/* Tables are pinned and unpinned, and have Xen's costs. */
void xen_tables_setup(void);

/* direct_map.c */
/*
 * The final direct map, in tables from free frames, which are reserved; panics if Xen refuses it.
 */
void xen_direct_map_init(void);
/*
 * The first page frame behind what Xen's builder put in place: image, module, p2m, tables, stack.
 */
u64 xen_first_free_pfn(void);
/* W^X for the image; and nothing else stays in the initial mapping. */
void xen_protect_image(void);

/* console.c */
/* printk() goes to Xen's console: in dom0 by hypercall, in a domU to the ring. */
void xen_console_init(void);
/* The initial mapping goes. */
void xen_console_use_direct_map(void);
/* Wait until all that was written has been read. */
void xen_console_drain(void);

/* witness.c */
/*
 * A dom0 of a debug Xen: reset Xen's counters, or, at the @end, print them and the kernel's own.
 * Panics if Xen refuses.
 */
void xen_witness(bool end);

/* irq.c */
/* Interrupts become event channels, and the boot CPU has its vcpu_info. */
void xen_irq_setup(void);
/* Of a vCPU that is not up yet: it will start with interrupts off. */
void xen_irq_prepare_cpu(unsigned cpu);
/*
 * On @cpu, as it starts: bind its event channels, open them, stop Xen's periodic timer, register
 * its runstate.
 */
void xen_irq_init_cpu(unsigned cpu);
/* Nanoseconds since boot, by Xen's time page; never less than what another CPU was told before. */
u64 xen_clock_ns(void);
/* Boot: what Xen says of the TSC. */
void xen_clock_init(void);
