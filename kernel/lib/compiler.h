/*
 * Compiler shorthands: attributes, single accesses, small arithmetic.
 *
 * Nothing here depends on Pteron; every other header may include this one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define __aligned(n) __attribute__((aligned(n)))
#define __packed __attribute__((packed))
#define __noreturn __attribute__((noreturn))
#define __pure __attribute__((pure)) /* reads, and has no effect */
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __section(name) __attribute__((section(name)))
#define __used __attribute__((used))
#define __unused __attribute__((unused))
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))
/* The callee keeps every register but rax: such a pv op costs its call sites no spills. */
#define __callee_save __attribute__((no_caller_saved_registers))

#define barrier() __asm__ volatile("" ::: "memory")
#define smp_mb() __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc")
#define cpu_relax() __builtin_ia32_pause()

/* One access, neither torn, repeated nor invented by the compiler. */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, val) (*(volatile __typeof__(x) *)&(x) = (val))
/* On x86 a plain load acquires and a plain store releases; only the compiler must be held back. */
#define smp_load_acquire(p)                                                                        \
	({                                                                                         \
		__typeof__(*(p)) __v = READ_ONCE(*(p));                                            \
		barrier();                                                                         \
		__v;                                                                               \
	})
#define smp_store_release(p, val)                                                                  \
	do {                                                                                       \
		barrier();                                                                         \
		WRITE_ONCE(*(p), val);                                                             \
	} while (0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define min(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) __a = (a);                                                           \
		__typeof__(b) __b = (b);                                                           \
		__a < __b ? __a : __b;                                                             \
	})
#define max(a, b)                                                                                  \
	({                                                                                         \
		__typeof__(a) __a = (a);                                                           \
		__typeof__(b) __b = (b);                                                           \
		__a > __b ? __a : __b;                                                             \
	})
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + ((__typeof__(x))(a)-1), a)
#define BIT(n) (1UL << (n))
#define static_assert _Static_assert
