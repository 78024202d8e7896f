/*
 * QEMU's exit device: with isa-debug-exit at 0xf4 a write ends QEMU, with the status (v << 1) | 1.
 * Where the device is missing nothing happens. QEMU 10 ends a moment after the write, and what the
 * kernel, or Xen behind it, would do until then is another thing in each run: so it does nothing.
 */
#include "drivers/debug_exit.h"

#include "kernel/arch/io.h"
#include "kernel/lib/compiler.h"

#define DEBUG_EXIT_PORT 0xf4
#define DEBUG_EXIT_BASE 0x10 /* far from the values by which QEMU itself may end */
#define NOTHING_THERE 0xffffffffu
#define LOOKS 1000000 /* some seconds, where QEMU does not end after all */

void debug_exit(enum shutdown_reason why)
{
	outl(DEBUG_EXIT_PORT, DEBUG_EXIT_BASE + why);
	for (unsigned i = 0; i < LOOKS && inl(DEBUG_EXIT_PORT) != NOTHING_THERE; i++)
		cpu_relax();
}
