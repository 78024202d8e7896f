/*
 * What Pteron needs of ACPI: the list of CPUs and the local APIC's address, from the MADT; and
 * where there are timers that can be read back, from the FADT and the HPET's table.
 */
#pragma once

#include "kernel/lib/cpumask.h"

struct acpi_info {
	u32 apic_id[MAX_CPUS]; /* of enabled CPUs, in the MADT's order */
	unsigned nr_cpus, nr_ignored;
	u64 lapic_address;
	u64 hpet_address; /* 0: none */
	u16 pm_timer_port;
	u32 pm_timer_mask;
};
extern struct acpi_info acpi_info;

/*
 * Read the tables that a root pointer leads to: that at physical address @hint, which a loader
 * handed over; 0: the one that the BIOS area has. Before the final direct map: the tables lie
 * in memory that is not RAM. Panics on a bad table.
 */
void acpi_init(u64 hint);
