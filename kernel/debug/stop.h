/* Stopping the other CPUs for a panic. */
#pragma once

struct pt_regs;

/* In the NMI handler: print where this CPU was and halt for ever, if a panic asked for it. */
void stop_this_cpu_if_asked(const struct pt_regs *regs);
