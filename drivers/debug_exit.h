/* QEMU's exit device. */
#pragma once

#include "kernel/lib/shutdown_reason.h"

/* End QEMU; returns where there is no such device. */
void debug_exit(enum shutdown_reason why);
