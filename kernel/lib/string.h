/*
 * Memory and string functions of C11 that freestanding code and the compiler itself call.
 */
#pragma once

#include "kernel/lib/types.h"

/* Each as the C library has it (C11 7.24; strnlen: POSIX). */
void *memset(void *dst, int c, size_t n);
void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
/* Copies at most @size - 1 bytes and always terminates. */
static inline void strlcpy(char *dst, const char *src, size_t size)
{
	size_t n = strnlen(src, size - 1);

	memcpy(dst, src, n);
	dst[n] = 0;
}

/* Whole pages, 8 bytes a step: `rep stosb` is counted byte by byte under -icount. */
static inline void clear_page(void *page)
{
	size_t n = PAGE_SIZE / 8;

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(n) : "a"(0UL) : "memory");
}

static inline void copy_page(void *dst, const void *src)
{
	size_t n = PAGE_SIZE / 8;

	__asm__ volatile("rep movsq" : "+D"(dst), "+S"(src), "+c"(n) : : "memory");
}
