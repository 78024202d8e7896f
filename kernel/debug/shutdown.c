/*
 * Leaving the machine; see shutdown.h. The front door judges by the verdict line in the output; the
 * reason that the platform is given only confirms it.
 */
#include "kernel/debug/shutdown.h"

#include "kernel/debug/printk.h"
#include "pv/pv_ops.h"

void machine_shutdown(enum shutdown_reason why)
{
	pv_shutdown(why);
	printk("# the machine can be switched off now\n");
	pv_stop_this_cpu();
}
