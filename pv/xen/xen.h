/*
 * The Xen PV backend: what its files share.
 */
#pragma once

#include "kernel/percpu.h"
#include "pv/xen/hypercall.h"

/* Legacy vCPUs, whose vcpu_info lies in the shared page. */
#define XEN_MAX_VCPUS XEN_LEGACY_MAX_VCPUS

extern struct start_info *xen_start_info;
extern const u64 *xen_p2m; /* machine frames by pfn */
extern struct shared_info *xen_shared_info;

/* mmu.c: the table's entries, and the direct map. */
void xen_mmu_setup(void);
void xen_direct_map_init(void);
/* The first page frame behind what Xen's builder put in place: image, module, p2m, tables, stack.
 */
u64 xen_first_free_pfn(void);

/* irq.c: event channels. */
void xen_irq_setup(void);
void xen_irq_init_cpu(unsigned cpu);
u64 xen_clock_ns(void);

/* W^X for the image; and nothing else stays in the initial mapping. */
void xen_protect_image(void);
