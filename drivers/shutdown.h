/* Leaving: power off, with a verdict for whoever started us. */
#pragma once

#include "kernel/compiler.h"

enum shutdown_reason { SHUTDOWN_PASSED, SHUTDOWN_FAILED, SHUTDOWN_CRASHED };

void machine_shutdown(enum shutdown_reason why) __noreturn;
/* QEMU's exit device; returns where there is none. */
void debug_exit(enum shutdown_reason why);
