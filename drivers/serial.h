/* The first serial port, an 8250-compatible UART at 0x3f8: the console on QEMU and on a PC. */
#pragma once

#include "kernel/lib/types.h"

void serial_init(void);
/* Busy-waits for room; '\n' is sent as CR LF. The caller holds the console lock. */
void serial_write(const char *s, size_t n);
