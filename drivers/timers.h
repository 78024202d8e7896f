/* The counters of the platform by which the clock is measured: those that can be read back. */
#pragma once

#include "kernel/time/clock_measure.h"

/*
 * Boot CPU, after acpi_init() and the final direct map: find them. The 8254 is taken to be there.
 */
void timers_find(void);
/* Those that were found, the best one first. */
const struct clock_counter *timers_found(unsigned *n);
