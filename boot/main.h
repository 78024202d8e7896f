/* What the boot paths share: parameters first, and the start of everything at the end. */
#pragma once

#include "kernel/lib/compiler.h"

/* Take boot_info's command line; ends the run where it is wrong. Chooses the backend. */
void boot_parse_params(void);
void boot_report(void);
/*
 * Direct map, early memory, clock and CPU numbers are there: start the allocators, the other CPUs
 * by
 * @start_cpus, and the main task. The caller becomes the idle task.
 */
void start_kernel(void (*start_cpus)(void)) __noreturn;
