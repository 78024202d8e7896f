/*
 * Which lines ran, for ./pteron coverage.
 */
#pragma once

#ifdef CONFIG_COVERAGE
/* Print the counters of the sources that count, with interrupts off; while nobody else runs. */
void coverage_report(void);
#else
static inline void coverage_report(void) {}
#endif
