/*
 * System calls and messages of the ring-3 programs.
 */
#include "tests/user/lib/user.h"

#define FUTEX_WAIT_PRIVATE 128
#define CLOCK_MONOTONIC 1

long syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

long sys_mmap(unsigned long addr, size_t len, int prot, int flags, int fd, u64 offset)
{
	return syscall6(SYS_mmap, addr, len, prot, flags, fd, offset);
}

long sys_munmap(unsigned long addr, size_t len)
{
	return syscall3(SYS_munmap, addr, len, 0);
}

long sys_mprotect(unsigned long addr, size_t len, int prot)
{
	return syscall3(SYS_mprotect, addr, len, prot);
}

long sys_madvise(unsigned long addr, size_t len, int advice)
{
	return syscall3(SYS_madvise, addr, len, advice);
}

long sys_mremap(unsigned long old, size_t old_len, size_t new_len, int flags, unsigned long new)
{
	return syscall6(SYS_mremap, old, old_len, new_len, flags, new, 0);
}

int sys_fork(void)
{
	return syscall3(SYS_fork, 0, 0, 0);
}

int sys_getpid(void)
{
	return syscall3(SYS_getpid, 0, 0, 0);
}

int sys_gettid(void)
{
	return syscall3(SYS_gettid, 0, 0, 0);
}

void sys_yield(void)
{
	syscall3(SYS_sched_yield, 0, 0, 0);
}

void sys_exit_group(int code)
{
	for (;;)
		syscall3(SYS_exit_group, code, 0, 0);
}

int wait_for(int pid)
{
	int status = 0;
	long ret = syscall6(SYS_wait4, pid, (long)&status, 0, 0, 0, 0);

	CHECK(ret == pid, "wait4 of %d answers %ld", pid, ret);
	return status;
}

/* FUTEX_WAIT reads the word; with a value that it does not hold it never sleeps. */
long probe_read(unsigned long addr)
{
	long ret = syscall3(SYS_futex, addr, FUTEX_WAIT_PRIVATE, 0x5eed5eed);

	return ret == -EAGAIN ? 0 : ret;
}

long probe_write(unsigned long addr)
{
	return syscall3(SYS_clock_gettime, CLOCK_MONOTONIC, addr, 0);
}

static void vsay(const char *prefix, const char *fmt, va_list args)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "%s", prefix);

	n += vsnprintf(line + n, sizeof(line) - n, fmt, args);
	syscall3(SYS_write, 1, line, min((size_t)n, sizeof(line) - 1));
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsay("", fmt, args);
	va_end(args);
}

static void __noreturn vfail(const char *fmt, va_list args)
{
	char prefix[96], line[300];

	snprintf(prefix, sizeof(prefix), "    # FAIL %s pid %d tid %d: ", work.program,
		 sys_getpid(), sys_gettid());
	vsnprintf(line, sizeof(line), fmt, args);
	say("%s%s\n", prefix, line);
	sys_exit_group(1);
}

void fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfail(fmt, args);
}

void fail_page(unsigned long page, const char *fmt, ...)
{
	va_list args;

	syscall3(SYS_page_history, page, 0, 0);
	va_start(args, fmt);
	vfail(fmt, args);
}

unsigned long must_map(size_t len, int flags)
{
	long addr = sys_mmap(0, len, PROT_RW, flags | MAP_ANON, -1, 0);

	CHECK(addr > 0, "mmap of %lu bytes answers %ld", len, addr);
	return addr;
}

void progress(u64 done)
{
	u64 step = max(work.rounds / 20, 1UL);

	if (work.index == 0 && (done % step == 0 || done == work.rounds))
		say("# progress %s %lu/%lu\n", work.program, done, work.rounds);
}
