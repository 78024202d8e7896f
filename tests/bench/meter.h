/*
 * What no kernel can avoid, measured: only in a build with METER=1.
 */
#pragma once

#include "kernel/lib/types.h"

/*
 * While @on, page faults and system calls have the least of a handler (meter.asm), but for this
 * program's own call of the meter. One CPU; no other fault may come.
 */
void meter_probe(bool on);
