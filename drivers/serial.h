/* The first serial port, an 8250-compatible UART at 0x3f8: the console on QEMU and on a PC. */
#pragma once

#include "kernel/lib/types.h"

/* Boot CPU, once: 115200 baud, 8N1, without interrupts. */
void serial_init(void);
/* Busy-waits for room; '\n' is sent as CR LF. The caller holds the console lock. */
void serial_write(const char *s, size_t n);
