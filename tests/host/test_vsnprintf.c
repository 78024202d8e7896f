/*
 * vsnprintf against the C library's. Oracle: the same text and the same length, for every
 * conversion, flag and width, and for every size of the buffer.
 */
#define vsnprintf pteron_vsnprintf
#define snprintf pteron_snprintf
#include "kernel/lib/format.c"
#undef vsnprintf
#undef snprintf

#include "tests/ktest.h"

int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#define SAME(t, size, ...)                                                                         \
	do {                                                                                       \
		char ours[128], theirs[128];                                                       \
		int a = pteron_snprintf(ours, size, __VA_ARGS__);                                  \
		int b = snprintf(theirs, size, __VA_ARGS__);                                       \
		KEXPECT_EQ(t, a, b);                                                               \
		KEXPECT(t, (size) == 0 || !strcmp(ours, theirs));                                  \
	} while (0)

static void numbers(struct ktest *t)
{
	for (unsigned n = 0; n < 500; n++) {
		u64 v = rng_next(&t->rng) >> rng_below(&t->rng, 64);
		int width = rng_below(&t->rng, 24);

		SAME(t, 100, "%lu|%ld|%lx|%lX", v, (s64)v, v, v);
		SAME(t, 100, "%u|%d|%x|%08x", (u32)v, (int)v, (u32)v, (u32)v);
		SAME(t, 100, "%*lu|%-*lx|%0*lx", width, v, width, v, width, v);
		SAME(t, 100, "%*ld|%-20ld|%020ld", width, (s64)v, (s64)v, (s64)v);
		SAME(t, 100, "%hhu %hu %zu", (u8)v, (u16)v, (size_t)v);
	}
	SAME(t, 100, "%ld %lu %d", INT64_MIN, UINT64_MAX, INT32_MIN);
}

static void strings(struct ktest *t)
{
	SAME(t, 100, "%s|%10s|%-10s|%.3s|%c%%", "abc", "abc", "abc", "abcdef", 'x');
	SAME(t, 100, "%.*s|%5.1s|", 2, "abcdef", "xyz");
}

static void small_buffers(struct ktest *t)
{
	for (size_t size = 0; size < 30; size++)
		SAME(t, size, "%s %d %lx", "hello", -42, 0xdeadbeefUL);
}

static const struct ktest_case cases[] = {
	{"numbers", numbers},
	{"strings", strings},
	{"small_buffers", small_buffers},
};
KTEST_SUITE(vsnprintf_suite, "vsnprintf", "formatting", true, cases);
