/* Bringing up the other CPUs. */
#pragma once

/* Give each CPU of the MADT, up to @max, its number, per-CPU data and idle task. Boot memory. */
void smp_prepare(unsigned max);
/* The idle tasks; then start the CPUs one after the other. */
void smp_start_all(void);
