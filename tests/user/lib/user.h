/*
 * The runtime of the ring-3 stress programs: system calls by Linux's numbers, threads, barriers,
 * page stamps. Nothing in it is Pteron's own, so the same static binaries run on Linux, where
 * tests/system/test_user_programs.py checks that the programs themselves are right.
 */
#pragma once

#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "kernel/lib/types.h"
#include "kernel/lib/xorshift.h"

/* --- system calls: a value, or a negative error number --- */

long syscall6(long nr, long a, long b, long c, long d, long e, long f);
#define syscall3(nr, a, b, c) syscall6(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

enum {
	SYS_write = 1,
	SYS_mmap = 9,
	SYS_mprotect = 10,
	SYS_munmap = 11,
	SYS_brk = 12,
	SYS_sched_yield = 24,
	SYS_mremap = 25,
	SYS_madvise = 28,
	SYS_getpid = 39,
	SYS_clone = 56,
	SYS_fork = 57,
	SYS_exit = 60,
	SYS_wait4 = 61,
	SYS_getppid = 110,
	SYS_sched_setscheduler = 144,
	SYS_gettid = 186,
	SYS_futex = 202,
	SYS_sched_setaffinity = 203,
	SYS_sched_getaffinity = 204,
	SYS_clock_gettime = 228,
	SYS_clock_nanosleep = 230,
	SYS_exit_group = 231,
	SYS_page_history = 511, /* Pteron's own; Linux answers ENOSYS */
};

#define PROT_NONE 0
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROT_RW (PROT_READ | PROT_WRITE)
#define MAP_SHARED 0x01
#define MAP_PRIVATE 0x02
#define MAP_FIXED 0x10
#define MAP_ANON 0x20
#define MAP_POPULATE 0x8000
#define MREMAP_MAYMOVE 1
#define MREMAP_FIXED 2
#define MADV_WILLNEED 3
#define MADV_DONTNEED 4
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#define FRAMES_FD 3 /* Pteron's device of fixed frames */
#define FRAMES_COUNT 512

#define EPERM 1
#define EINTR 4
#define EBADF 9
#define ECHILD 10
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EBUSY 16
#define EINVAL 22
#define ENOSYS 38

long sys_mmap(unsigned long addr, size_t len, int prot, int flags, int fd, u64 offset);
long sys_munmap(unsigned long addr, size_t len);
long sys_mprotect(unsigned long addr, size_t len, int prot);
long sys_madvise(unsigned long addr, size_t len, int advice);
long sys_mremap(unsigned long old, size_t old_len, size_t new_len, int flags, unsigned long new);
int sys_fork(void);
int sys_getpid(void);
int sys_gettid(void);
void sys_yield(void);
void __noreturn sys_exit_group(int code);
/* Wait for child @pid; its wait status. Any error is a failure. */
int wait_for(int pid);

/* Touch memory through the kernel, which answers -EFAULT where the program itself would die. */
long probe_read(unsigned long addr);  /* 4 bytes, aligned */
long probe_write(unsigned long addr); /* 16 bytes: overwritten with the time */

/* --- messages and failure --- */

void say(const char *fmt, ...) __printf(1, 2);
/* "FAIL program: ...", and the end of the process with code 1. */
void __noreturn fail(const char *fmt, ...) __printf(1, 2);
#define CHECK(cond, fmt, ...)                                                                      \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail("%s:%d: %s: " fmt, __FILE__, __LINE__, #cond, ##__VA_ARGS__);         \
	} while (0)
/* The same, of what is wrong with @page: the kernel prints what was done to it first. */
void __noreturn fail_page(unsigned long page, const char *fmt, ...) __printf(2, 3);
#define CHECK_PAGE(page, cond, fmt, ...)                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fail_page(page, "%s:%d: %s: " fmt, __FILE__, __LINE__, #cond,              \
				  ##__VA_ARGS__);                                                  \
	} while (0)
/* Memory or death. */
unsigned long must_map(size_t len, int flags);

/* --- what the kernel's suite asks of a program --- */

struct work {
	const char *program;
	u64 seed, rounds;
	unsigned threads, pages;
	unsigned index; /* of this process among those that run the program; 0 reports progress */
};
extern struct work work;

/* A program supplies this; it returns when its work is done. */
void program_main(void);
/* Progress in @done of work.rounds; at most 20 lines of it. */
void progress(u64 done);

/* The registers at the first instruction; regs: rax rbx rcx rdx rsi rdi rbp r8 to r15. */
struct start_state {
	u64 regs[15], flags;
	u16 selectors[4]; /* ds es fs gs */
	u64 unused;
	u8 fpu[512]; /* FXSAVE's image */
} __aligned(16);
extern struct start_state start_state;
/* The value of entry @type of the auxiliary vector; 0 if there is none. */
unsigned long start_auxv(unsigned long type);

/* --- threads --- */

#define MAX_THREADS 128

#define THREAD_STACK (32UL << 10)

/* Run @fn(@i) in a thread on @stack, of THREAD_STACK bytes, and wait until it has returned. */
void thread_begin(unsigned long stack, unsigned i, void (*fn)(unsigned i));
void thread_end(unsigned long stack);
/* Run @fn(i) for i = 0 .. n-1, number 0 in the calling thread, and wait until all have returned. */
void run_threads(unsigned n, void (*fn)(unsigned i));
/* A stream for thread @i in round @round. */
struct rng thread_rng(unsigned i, u64 round);

/* Sleep until somebody wakes @word, unless it holds anything but @expected. May return early. */
void futex_wait(u32 *word, u32 expected);
/* The same, and no longer than @ms milliseconds: for who must look whether somebody has died. */
void futex_wait_ms(u32 *word, u32 expected, unsigned ms);
/* Wake at most @n that sleep on @word, in any process that shares it. */
void futex_wake(u32 *word, unsigned n);

struct barrier {
	u32 arrived, turn;
};
/* Wait until @n threads (or processes, in shared memory) have come here. */
void barrier_wait(struct barrier *b, unsigned n);

/* --- page stamps: what every page of a stress test carries --- */

struct stamp {
	u64 magic;	/* PAGE_STAMP_MAGIC: the kernel's dirty ledger looks for it */
	u64 address;	/* of the page, in the mm that wrote it */
	u64 generation; /* of what was written */
	u32 mm, writer; /* process and thread that wrote it */
	u64 tail;	/* generation again, written last */
};
#define PAGE_STAMP_MAGIC 0x7074726e50414745UL
#define STAMP_WORDS 8 /* room that the stamp takes, in 8-byte words */

static inline struct stamp *stamp_of(unsigned long page)
{
	return (struct stamp *)page;
}

/* Stamp @page, which this thread alone writes. @address: what the stamp shall say. */
void stamp_write(unsigned long page, u64 address, u64 generation);
/* The page carries exactly this; @mm and @writer 0: any. */
void stamp_check(unsigned long page, u64 address, u64 generation, u32 mm, u32 writer);
/* The page is zero where a stamp would be. */
void stamp_check_zero(unsigned long page);
