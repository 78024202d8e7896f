/*
 * Console output. Every line goes whole: the console lock is held from its first to its last
 * character, so that lines of several CPUs never mix.
 */
#pragma once

#include <stdarg.h>

#include "kernel/types.h"

/*
 * Formats like C's vsnprintf: %d %i %u %x %X %p %c %s %% with -, 0, width, * and .precision (for
 * %s), and h, hh, l, ll and z. Returns the length that an unlimited buffer would have got.
 */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list args);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);
/* The same, but control characters of the arguments of %s and %c become question marks. */
int vsnprintf_line(char *buf, size_t size, const char *fmt, va_list args);

void vprintk(const char *fmt, va_list args);
void printk(const char *fmt, ...) __printf(1, 2);
/* @n bytes of ring 3, marked as such, in one piece. */
void console_write_user(const char *s, size_t n);

/* From now on @out gets the bytes; first what was printed before there was a console. */
typedef void (*console_out_t)(const char *s, size_t n);
void console_open(console_out_t out);
/* For tests, while nobody else prints: @out gets the bytes; who got them before is returned. */
console_out_t console_redirect(console_out_t out);

/* Diagnostics are KTAP comments, so that the test output stays parseable. */
#define pr_info(fmt, ...) printk("# " fmt, ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk("# warning: " fmt, ##__VA_ARGS__)
#define pr_err(fmt, ...) printk("# error: " fmt, ##__VA_ARGS__)

/* From now on the console lock is ignored: only a panicking CPU, which has stopped the others. */
void console_bust_lock(void);
