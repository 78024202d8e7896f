/* Bringing up the other CPUs. */
#pragma once

/* Give each CPU of the MADT, up to @max, its number, per-CPU data and idle task. Boot memory. */
void smp_prepare(unsigned max);
/* What every CPU does for itself, on any platform: random stream, run queue, TLB state. */
void smp_init_this_cpu(unsigned cpu);
/* The idle tasks; then start the CPUs one after the other. */
void smp_start_all(void);
