/*
 * Console output. Every line goes whole: the console lock is held from its first to its last
 * character, so that lines of several CPUs never mix.
 */
#pragma once

#include "kernel/lib/format.h"

/* As printk(), of @args. What is longer than 511 characters ends in dots. */
void vprintk(const char *fmt, va_list args);
/*
 * Print in one piece; format as in kernel/lib/format.h, where control characters in arguments
 * become question marks. Waits for the console lock, with interrupts off.
 */
void printk(const char *fmt, ...) __printf(1, 2);
/* @n bytes of ring 3, marked as such, in one piece. */
void console_write_user(const char *s, size_t n);

/* Takes @n bytes; under the console lock, with interrupts off. */
typedef void (*console_out_t)(const char *s, size_t n);
/* From now on @out gets the bytes; first what was printed before there was a console. */
void console_open(console_out_t out);
/* For tests, while nobody else prints: @out gets the bytes; who got them before is returned. */
console_out_t console_redirect(console_out_t out);

/* Diagnostics are KTAP comments, so that the test output stays parseable. */
#define pr_info(fmt, ...) printk("# " fmt, ##__VA_ARGS__)
#define pr_warn(fmt, ...) printk("# warning: " fmt, ##__VA_ARGS__)
#define pr_err(fmt, ...) printk("# error: " fmt, ##__VA_ARGS__)

/* From now on the console lock is ignored: only a panicking CPU, which has stopped the others. */
void console_bust_lock(void);
