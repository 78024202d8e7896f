/* Leaving the machine, with a verdict for whoever started it. */
#pragma once

#include "kernel/lib/compiler.h"
#include "kernel/lib/shutdown_reason.h"

/* Power off; where that does nothing, stop this CPU. */
void machine_shutdown(enum shutdown_reason why) __noreturn;
