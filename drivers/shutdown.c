/*
 * Leaving the machine. QEMU with isa-debug-exit at 0xf4 ends with status (v << 1) | 1; where that
 * device is missing nothing happens, and the CPU halts. The front door judges by the verdict line
 * in the output; the status only confirms it.
 */
#include "drivers/shutdown.h"

#include "kernel/io.h"
#include "kernel/printk.h"
#include "pv/pv_ops.h"

#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_BASE 0x10 /* far from the values by which QEMU itself may end */

void debug_exit(enum shutdown_reason why)
{
	outl(DEBUG_EXIT_PORT, DEBUG_EXIT_BASE + why);
}

void machine_shutdown(enum shutdown_reason why)
{
	pv_shutdown(why);
	printk("# the machine can be switched off now\n");
	pv_stop_this_cpu();
}
