/*
 * How long the hypervisor has the CPU, in a build that meters it (METER=1): the ticks of each
 * hypercall but those of the scheduler, which may be somebody else's. What a call says of itself is
 * exact but for the few instructions around it. Other builds have none of this.
 */
#pragma once

#include "kernel/debug/counters.h"
#include "kernel/lib/types.h"

#ifdef CONFIG_METER
#include "kernel/arch/io.h"

static inline u64 meter_start(void)
{
	return rdtsc();
}

static inline void meter_stop(u64 start)
{
	count_n(CNT_HYPERVISOR_TICKS, rdtsc() - start);
}
#else
static inline u64 meter_start(void)
{
	return 0;
}

static inline void meter_stop(u64 start __unused) {}
#endif
