/*
 * Formatting of text, as the C library does it.
 */
#pragma once

#include <stdarg.h>

#include "kernel/lib/types.h"

/*
 * Formats like C's vsnprintf: %d %i %u %x %X %p %c %s %% with -, 0, width, * and .precision (for
 * %s), and h, hh, l, ll and z. Returns the length that an unlimited buffer would have got.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
/* The same with the arguments themselves. */
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
/* The same, but control characters of the arguments of %s and %c become question marks. */
int vsnprintf_line(char *buf, size_t size, const char *fmt, va_list args);
