/* Bringing up the other CPUs. */
#pragma once

/* Give each CPU of the MADT, up to @max, its number, per-CPU data and idle task. Boot memory. */
void smp_prepare(unsigned max);
/* How many CPUs there will be. */
unsigned smp_possible_cpus(void);
/* What every CPU does for itself, on any platform: random stream, run queue, TLB state. */
void smp_init_this_cpu(unsigned cpu);
/* The idle tasks; then start the CPUs one after the other. */
void smp_start_all(void);
