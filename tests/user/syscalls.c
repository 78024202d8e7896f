/*
 * syscalls: what each system call answers, good arguments and bad. The expectations are Linux's;
 * the system tests run this very program on Linux too.
 */
#include "tests/user/lib/user.h"

#define BAD_POINTER 0x10UL
#define KERNEL_POINTER 0xffffffff80200000UL
#define NON_CANONICAL 0x8000000000000000UL
#define EPERM 1
#define EEXIST 17
#define MAP_FIXED_NOREPLACE 0x100000
#define FUTEX_WAKE 1

static void expect(const char *what, long got, long want)
{
	CHECK(got == want, "%s answers %ld, not %ld", what, got, want);
}

static void bad_pointers(void)
{
	static const unsigned long bad[] = {BAD_POINTER, KERNEL_POINTER, NON_CANONICAL, ~0UL - 3};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		expect("write", syscall3(SYS_write, 1, bad[i], 16), -EFAULT);
		expect("clock_gettime", syscall3(SYS_clock_gettime, 1, bad[i], 0), -EFAULT);
		expect("sched_setaffinity", syscall3(SYS_sched_setaffinity, 0, 8, bad[i]), -EFAULT);
	}
	expect("write to 77", syscall3(SYS_write, 77, "x", 1), -EBADF);
	expect("write of nothing", syscall3(SYS_write, 1, "", 0), 0);
	expect("futex unaligned", syscall3(SYS_futex, 0x1001, FUTEX_WAKE, 1), -EINVAL);
	expect("clock 99", syscall3(SYS_clock_gettime, 99, BAD_POINTER, 0), -EINVAL);
	expect("system call 510", syscall3(510, 0, 0, 0), -ENOSYS);
	expect("system call -1", syscall3(-1, 0, 0, 0), -ENOSYS);
}

/* A copy that begins well and runs into a hole. */
static void half_bad_pointer(void)
{
	unsigned long m = must_map(2 * PAGE_SIZE, MAP_PRIVATE);

	expect("munmap", sys_munmap(m + PAGE_SIZE, PAGE_SIZE), 0);
	expect("clock_gettime into the end", probe_write(m + PAGE_SIZE - 16), 0);
	expect("clock_gettime over the end", probe_write(m + PAGE_SIZE - 8), -EFAULT);
	expect("munmap", sys_munmap(m, PAGE_SIZE), 0);
}

static void mmap_arguments(void)
{
	int anon = MAP_PRIVATE | MAP_ANON;
	unsigned long m = must_map(4 * PAGE_SIZE, MAP_PRIVATE);

	expect("mmap of 0", sys_mmap(0, 0, PROT_RW, anon, -1, 0), -EINVAL);
	expect("mmap too large", sys_mmap(0, 1UL << 47, PROT_RW, anon, -1, 0), -ENOMEM);
	expect("mmap neither shared nor private", sys_mmap(0, 4096, PROT_RW, MAP_ANON, -1, 0),
	       -EINVAL);
	expect("mmap of a bad file", sys_mmap(0, 4096, PROT_RW, MAP_PRIVATE, 99, 0), -EBADF);
	expect("mmap fixed unaligned", sys_mmap(m + 1, 4096, PROT_RW, anon | MAP_FIXED, -1, 0),
	       -EINVAL);
	expect("mmap over a mapping", sys_mmap(m, 4096, PROT_RW, anon | MAP_FIXED_NOREPLACE, -1, 0),
	       -EEXIST);
	expect("mmap at a hint that is taken moves",
	       sys_mmap(m, 4096, PROT_RW, anon, -1, 0) != (long)m, 1);
	expect("munmap unaligned", sys_munmap(m + 1, 4096), -EINVAL);
	expect("munmap of 0", sys_munmap(m, 0), -EINVAL);
	expect("munmap of a hole", sys_munmap(m, 4 * PAGE_SIZE), 0);
	expect("munmap again", sys_munmap(m, 4 * PAGE_SIZE), 0);
}

static void mprotect_arguments(void)
{
	unsigned long m = must_map(4 * PAGE_SIZE, MAP_PRIVATE);

	stamp_write(m, m, 1);
	expect("mprotect unaligned", sys_mprotect(m + 1, 4096, PROT_READ), -EINVAL);
	expect("mprotect of 0", sys_mprotect(m, 0, PROT_READ), 0);
	expect("mprotect none", sys_mprotect(m, PAGE_SIZE, PROT_NONE), 0);
	expect("read of none", probe_read(m), -EFAULT);
	expect("mprotect read", sys_mprotect(m, PAGE_SIZE, PROT_READ), 0);
	expect("write of read-only", probe_write(m), -EFAULT);
	stamp_check(m, m, 1, sys_getpid(), sys_gettid());
	expect("mprotect write", sys_mprotect(m, PAGE_SIZE, PROT_RW), 0);
	expect("munmap", sys_munmap(m + PAGE_SIZE, PAGE_SIZE), 0);
	expect("mprotect over a hole", sys_mprotect(m, 4 * PAGE_SIZE, PROT_READ), -ENOMEM);
	expect("write before the hole, which was protected", probe_write(m), -EFAULT);
	expect("write behind the hole, which was not", probe_write(m + 2 * PAGE_SIZE), 0);
	expect("mprotect of everything", sys_mprotect(m, ~0UL, PROT_READ), -ENOMEM);
	expect("munmap", sys_munmap(m, 4 * PAGE_SIZE), 0);
}

static void mremap_arguments(void)
{
	unsigned long m = must_map(8 * PAGE_SIZE, MAP_PRIVATE);
	long ret;

	expect("mremap unaligned", sys_mremap(m + 1, 4096, 4096, MREMAP_MAYMOVE, 0), -EINVAL);
	expect("mremap to 0", sys_mremap(m, 4096, 0, MREMAP_MAYMOVE, 0), -EINVAL);
	expect("mremap fixed without maymove", sys_mremap(m, 4096, 4096, MREMAP_FIXED, m), -EINVAL);
	expect("mremap onto itself",
	       sys_mremap(m, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, m + 4096), -EINVAL);
	expect("mremap grows into a neighbour", sys_mremap(m, 4096, 8192, 0, 0), -ENOMEM);
	expect("mremap shrinks", sys_mremap(m, 8 * PAGE_SIZE, 4 * PAGE_SIZE, 0, 0), (long)m);
	expect("read of what was cut off", probe_read(m + 4 * PAGE_SIZE), -EFAULT);
	stamp_write(m, 42, 7);
	ret = sys_mremap(m, 4 * PAGE_SIZE, 600 * PAGE_SIZE, MREMAP_MAYMOVE, 0);
	CHECK(ret > 0, "mremap to 600 pages answers %ld", ret);
	stamp_check(ret, 42, 7, sys_getpid(), sys_gettid());
	stamp_check_zero(ret + 599 * PAGE_SIZE);
	expect("munmap", sys_munmap(ret, 600 * PAGE_SIZE), 0);
	m = must_map(PAGE_SIZE, MAP_PRIVATE);
	stamp_write(m, m, 9);
	expect("mremap of a hole onto it",
	       sys_mremap(ret, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, m), -EFAULT);
	stamp_check(m, m, 9, sys_getpid(), sys_gettid());
	expect("munmap", sys_munmap(m, PAGE_SIZE), 0);
	expect("mremap of a hole", sys_mremap(ret, 4096, 4096, MREMAP_MAYMOVE, 0), -EFAULT);
}

#define TABLE_SIZE (1UL << 21) /* what one PTE page maps */
#define LARGE (7 * TABLE_SIZE / 4)

/* Move LARGE bytes from @old to @new, its neighbour: both have a part of one PTE page. */
static void move_to_neighbour(unsigned long old, unsigned long new, unsigned long touched)
{
	expect("area", sys_mmap(old, LARGE, PROT_RW, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0),
	       (long)old);
	stamp_write(old + touched, old, 3);
	expect("move", sys_mremap(old, LARGE, LARGE, MREMAP_MAYMOVE | MREMAP_FIXED, new),
	       (long)new);
	stamp_check(new + touched, old, 3, sys_getpid(), sys_gettid());
	for (unsigned long a = new; a < new + LARGE; a += PAGE_SIZE)
		if (a != new + touched)
			stamp_check_zero(a);
	expect("munmap", sys_munmap(new, LARGE), 0);
}

/* The tables that are made for the image lie in what is still the old range. */
static void mremap_to_neighbours(void)
{
	static const unsigned long base[] = {0x50000000000, 0x5003fa00000, 0x57fffc00000};

	for (unsigned i = 0; i < 3; i++) {
		move_to_neighbour(base[i], base[i] + LARGE, 0);
		move_to_neighbour(base[i], base[i] + LARGE, LARGE - PAGE_SIZE);
		move_to_neighbour(base[i] + LARGE, base[i], 0);
		move_to_neighbour(base[i] + LARGE, base[i], LARGE - PAGE_SIZE);
	}
}

static void madvise_arguments(void)
{
	unsigned long m = must_map(4 * PAGE_SIZE, MAP_PRIVATE);

	expect("madvise unaligned", sys_madvise(m + 1, 4096, MADV_DONTNEED), -EINVAL);
	expect("madvise 9999", sys_madvise(m, 4096, 9999), -EINVAL);
	expect("madvise of everything", sys_madvise(m, ~0UL, MADV_DONTNEED), -EINVAL);
	expect("madvise of 0", sys_madvise(m, 0, MADV_DONTNEED), 0);
	expect("populate", sys_madvise(m, 4 * PAGE_SIZE, MADV_POPULATE_WRITE), 0);
	stamp_check_zero(m);
	stamp_write(m, m, 1);
	expect("madvise", sys_madvise(m, 4 * PAGE_SIZE, MADV_DONTNEED), 0);
	stamp_check_zero(m);
	expect("munmap", sys_munmap(m + PAGE_SIZE, PAGE_SIZE), 0);
	expect("madvise over a hole", sys_madvise(m, 4 * PAGE_SIZE, MADV_DONTNEED), -ENOMEM);
	expect("a hint over a hole", sys_madvise(m, 4 * PAGE_SIZE, MADV_WILLNEED), -ENOMEM);
	expect("mprotect", sys_mprotect(m, PAGE_SIZE, PROT_READ), 0);
	expect("populate of what is read-only", sys_madvise(m, PAGE_SIZE, MADV_POPULATE_WRITE),
	       -EINVAL);
	expect("munmap", sys_munmap(m, 4 * PAGE_SIZE), 0);
}

static void brk_moves(void)
{
	unsigned long start = syscall3(SYS_brk, 0, 0, 0);

	expect("brk up", syscall3(SYS_brk, start + 10000, 0, 0), (long)start + 10000);
	*(volatile u64 *)(start + 9992) = 1;
	expect("brk below its start", syscall3(SYS_brk, 4096, 0, 0), (long)start + 10000);
	expect("brk down", syscall3(SYS_brk, start, 0, 0), (long)start);
	expect("brk that stays", syscall3(SYS_brk, start, 0, 0), (long)start);
	expect("brk up again", syscall3(SYS_brk, start + 10000, 0, 0), (long)start + 10000);
	expect("brk within a page", syscall3(SYS_brk, start + 10001, 0, 0), (long)start + 10001);
	expect("brk down again", syscall3(SYS_brk, start, 0, 0), (long)start);
	expect("read beyond the break", probe_read(ALIGN_UP(start, PAGE_SIZE) + PAGE_SIZE),
	       -EFAULT);
}

/* A child that does what must kill it, and the signal that wait4 reports. */
static void dies(const char *what, void (*fn)(void), int signal)
{
	int pid = sys_fork(), status;

	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		fn();
		sys_exit_group(0);
	}
	status = wait_for(pid);
	/* Linux sets the core-dump bit where it may dump. */
	CHECK((status & 0x7f) == signal, "%s: the child ended with status %#x", what, status);
}

static void write_null(void)
{
	volatile unsigned long hole = BAD_POINTER;

	*(volatile u64 *)hole = 1;
}

static void write_text(void)
{
	*(volatile u8 *)(unsigned long)write_null = 0x90;
}

static void execute_data(void)
{
	static u8 ret = 0xc3;

	((void (*)(void))(unsigned long)&ret)();
}

static void read_kernel(void)
{
	(void)*(volatile u64 *)KERNEL_POINTER;
}

static void read_non_canonical(void)
{
	(void)*(volatile u64 *)NON_CANONICAL;
}

static void write_read_only(void)
{
	unsigned long m = must_map(PAGE_SIZE, MAP_PRIVATE);

	*(volatile u64 *)m = 1;
	sys_mprotect(m, PAGE_SIZE, PROT_READ);
	*(volatile u64 *)m = 2;
}

static void privileged(void)
{
	__asm__ volatile("cli");
}

static void undefined(void)
{
	__asm__ volatile("ud2");
}

#define SET_TRAP_FLAG "pushfq; orl $0x100, (%%rsp); popfq\n\t"

static void single_step(void)
{
	__asm__ volatile(SET_TRAP_FLAG "nop" ::: "memory", "cc");
}

/* The debug exception is held back over `mov ss`, and then over the entry to the kernel. */
static void single_step_into_the_kernel(void)
{
	unsigned ss;
	long ret;

	__asm__ volatile("mov %%ss, %0" : "=r"(ss));
	__asm__ volatile(SET_TRAP_FLAG "mov %1, %%ss\n\tsyscall"
			 : "=a"(ret)
			 : "r"(ss), "a"(SYS_getpid)
			 : "rcx", "r11", "memory", "cc");
}

static void deaths(void)
{
	dies("write to a hole", write_null, 11);
	dies("write to text", write_text, 11);
	dies("execution of data", execute_data, 11);
	dies("read of the kernel", read_kernel, 11);
	dies("read of a non-canonical address", read_non_canonical, 11);
	dies("write to a read-only page", write_read_only, 11);
	dies("privileged instruction", privileged, 11);
	dies("undefined instruction", undefined, 4);
	dies("single step", single_step, 5);
	dies("single step over mov ss and syscall", single_step_into_the_kernel, 5);
}

static void children(void)
{
	int pid, status;

	expect("wait4 without a child", syscall6(SYS_wait4, -1, 0, 0, 0, 0, 0), -ECHILD);
	pid = sys_fork();
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid)
		sys_exit_group(syscall3(SYS_getppid, 0, 0, 0) > 1 ? 42 : 43);
	expect("wait4 for another", syscall6(SYS_wait4, pid + 1000, 0, 0, 0, 0, 0), -ECHILD);
	status = wait_for(pid);
	expect("status", status, 42 << 8);
	expect("gettid", sys_gettid(), sys_getpid());
}

#define CLONE_SETTLS 0x80000

static void clone_arguments(void)
{
	expect("clone with a base that is not canonical",
	       syscall6(SYS_clone, CLONE_SETTLS | 17, 0, 0, 0, NON_CANONICAL, 0), -EPERM);
	expect("arch_prctl with such a base", syscall3(158, 0x1002, NON_CANONICAL, 0), -EPERM);
}

static void affinity(void)
{
	u64 mask[4] = {0}, one[4] = {0};
	long n = syscall3(SYS_sched_getaffinity, 0, sizeof(mask), mask);

	CHECK(n > 0 && n <= (long)sizeof(mask) && mask[0], "sched_getaffinity answers %ld", n);
	one[0] = mask[0] & -mask[0];
	expect("sched_setaffinity", syscall3(SYS_sched_setaffinity, 0, sizeof(one), one), 0);
	syscall3(SYS_sched_getaffinity, 0, sizeof(one), one);
	expect("one CPU is left", one[0], mask[0] & -mask[0]);
	expect("sched_setaffinity to none",
	       syscall3(SYS_sched_setaffinity, 0, sizeof(one), (u64[4]){0}), -EINVAL);
	expect("sched_setaffinity", syscall3(SYS_sched_setaffinity, 0, sizeof(mask), mask), 0);
}

void program_main(void)
{
	bad_pointers();
	half_bad_pointer();
	mmap_arguments();
	mprotect_arguments();
	mremap_arguments();
	mremap_to_neighbours();
	madvise_arguments();
	brk_moves();
	deaths();
	children();
	clone_arguments();
	affinity();
}
