/*
 * What no kernel can avoid, measured: only in a build with METER=1.
 */
#pragma once

#include "kernel/lib/types.h"

#ifdef CONFIG_METER
/* What this CPU has done since its boot. */
struct meter_counts {
	u64 faults, calls, copies, hypervisor; /* the last in ticks */
};
void meter_read(struct meter_counts *out);

/*
 * While @on, page faults and system calls have the least of a handler (meter.asm), but for this
 * program's own call of the meter. One CPU; no other fault may come.
 */
void meter_probe(bool on);

/* Print what the parts of a floor cost here, for tests/harness/bench.py. As meter_probe(). */
void meter_report_parts(void);
#endif
