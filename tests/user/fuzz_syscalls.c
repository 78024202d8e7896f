/*
 * fuzz_syscalls: what no program does, from the arguments to the instructions.
 *
 * Each round forks a victim. It makes calls of every number with hostile arguments, in one thread
 * or in three at once, and ends by a jump to a bad address, an `int n`, a privileged instruction or
 * a stack that is none. Whatever becomes of it, it is gone in the end: one that sleeps for ever is
 * killed. On Linux the random calls are left out, for there every number does something.
 *
 * Oracle: a call that copies from or to an address that is not the program's answers EFAULT, each
 * time; no victim writes a byte of such memory to the console; the memory of this process, of which
 * each victim has a copy, and what it shares with other processes of its own, keep their stamps;
 * and the kernel's own (tests/stress/stress.h): nothing is lost, nothing leaks, nothing panics.
 */
#include "tests/user/lib/user.h"

#define SCRATCH_PAGES 16
#define NR_MAX 520
#define CALLS 48 /* of a thread of a victim */
#define PATIENCE_MS 100
#define STATUS_READ_KERNEL 77

#define KERNEL_IMAGE 0xffffffff80200000UL
#define KERNEL_MEMORY 0xffff888000001000UL
#define XEN_MEMORY 0xffff800000000000UL
#define NON_CANONICAL 0x800000000000UL
#define USER_TOP 0x7ffffffff000UL

#define WNOHANG 1
#define SIGKILL 9

enum {
	SYS_nanosleep = 35,
	SYS_kill = 62,
	SYS_uname = 63,
	SYS_setpgid = 109,
	SYS_tkill = 200,
	SYS_tgkill = 234,
	SYS_getrandom = 318,
	SYS_vfork = 58,
	SYS_clone3 = 435,
};

static unsigned long stamps, scratch;
static bool random_calls; /* this is not Linux */
static struct rng victim_rng[4];

/* --- what must be EFAULT --- */

static const unsigned long bad_pointers[] = {
	KERNEL_IMAGE, KERNEL_MEMORY, XEN_MEMORY, NON_CANONICAL, USER_TOP,
	USER_TOP - 4, 1UL << 63,     -8UL,	 -4096UL,	0xffffc90000000000UL,
};

#define POINTER (-999L)
/* Calls that would succeed, but for the pointer in the place of POINTER. */
static const struct copying_call {
	const char *name;
	long nr, args[6];
} copying_calls[] = {
	{"write", 1, {1, POINTER, 8}},
	{"writev", 20, {1, POINTER, 1}},
	{"rt_sigaction", 13, {10, POINTER, 0, 8}},
	{"rt_sigaction, old", 13, {10, 0, POINTER, 8}},
	{"rt_sigprocmask", 14, {0, POINTER, 0, 8}},
	{"rt_sigprocmask, old", 14, {0, 0, POINTER, 8}},
	{"rt_sigpending", 127, {POINTER, 8}},
	{"nanosleep", 35, {POINTER, 0}},
	{"clock_nanosleep", 230, {1, 0, POINTER, 0}},
	{"clock_gettime", 228, {1, POINTER}},
	{"clock_getres", 229, {1, POINTER}},
	{"uname", 63, {POINTER}},
	{"getrlimit", 97, {7, POINTER}},
	{"setrlimit", 160, {7, POINTER}},
	{"prlimit64, new", 302, {0, 7, POINTER, 0}},
	{"prlimit64, old", 302, {0, 7, 0, POINTER}},
	{"getrusage", 98, {0, POINTER}},
	{"sysinfo", 99, {POINTER}},
	{"sched_getparam", 143, {0, POINTER}},
	{"arch_prctl, get", 158, {0x1003, POINTER}},
	{"sched_setaffinity", 203, {0, 8, POINTER}},
	{"sched_getaffinity", 204, {0, 128, POINTER}},
	{"getcpu", 309, {POINTER, 0}},
	{"getrandom", 318, {POINTER, 16}},
	{"futex wait", 202, {POINTER, 0, 0, 0}},
	{"futex wait, private", 202, {POINTER, 128, 0, 0}},
	{"futex wake", 202, {POINTER, 1, 1, 0}},
};

static void copies_are_refused(void)
{
	for (unsigned i = 0; i < sizeof(copying_calls) / sizeof(copying_calls[0]); i++) {
		const struct copying_call *c = &copying_calls[i];

		for (unsigned k = 0; k < sizeof(bad_pointers) / sizeof(bad_pointers[0]); k++) {
			long a[6], ret;

			for (unsigned n = 0; n < 6; n++)
				a[n] = c->args[n] == POINTER ? (long)bad_pointers[k] : c->args[n];
			ret = syscall6(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
			CHECK(ret == -EFAULT, "%s with %#lx answers %ld", c->name, bad_pointers[k],
			      ret);
		}
	}
}

/* --- 32 bits of an int --- */

#define DIRT (0x5eed0000L << 32)

/* Of a number, and of an argument that is an int, what lies above does not count. */
static void dirt_is_ignored(void)
{
	long self = sys_getpid(), tid = sys_gettid();
	u64 buf[2];
	const struct {
		const char *name;
		long found, expected;
	} rows[] = {
		{"getpid", syscall3(SYS_getpid | DIRT, 0, 0, 0), self},
		{"getrandom", syscall3(SYS_getrandom, buf, 4, DIRT | 1), 4},
		{"wait4", syscall6(SYS_wait4, 0xffffffff, 0, DIRT, 0, 0, 0), -ECHILD},
		{"tkill", syscall3(SYS_tkill, tid | DIRT, DIRT, 0), 0},
		{"madvise", syscall3(SYS_madvise, stamps, PAGE_SIZE, MADV_WILLNEED | DIRT), 0},
		{"clock_gettime", syscall3(SYS_clock_gettime, 1 | DIRT, buf, 0), 0},
		{"prlimit64", syscall6(302, DIRT, 7 | DIRT, 0, (long)buf, 0, 0), 0},
		{"futex", syscall6(SYS_futex, (long)buf, 129 | DIRT, 1, 0, 0, 0), 0},
		{"mmap", syscall6(SYS_mmap, 0, PAGE_SIZE, 3, MAP_SHARED, 77 | DIRT, 0), -EBADF},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(rows[i].found == rows[i].expected, "%s with 64 bits answers %ld, not %ld",
		      rows[i].name, rows[i].found, rows[i].expected);
}

/* --- hostile arguments --- */

static unsigned long pick(struct rng *rng, const unsigned long *values, unsigned n)
{
	return values[rng_below(rng, n)];
}

static unsigned long hostile_address(struct rng *rng)
{
	switch (rng_below(rng, 6)) {
	case 0:
		return pick(rng, bad_pointers, sizeof(bad_pointers) / sizeof(bad_pointers[0])) +
		       rng_below(rng, 64);
	case 1:
		return rng_below(rng, 4096);
	case 2: /* to the end of the scratch memory, and beyond */
		return scratch + SCRATCH_PAGES * PAGE_SIZE - rng_below(rng, 128);
	case 3:
		return rng_next(rng);
	default: /* valid */
		return scratch + rng_below(rng, SCRATCH_PAGES) * PAGE_SIZE +
		       (rng_below(rng, 2) ? 0 : rng_below(rng, PAGE_SIZE));
	}
}

static unsigned long hostile_argument(struct rng *rng)
{
	switch (rng_below(rng, 6)) {
	case 0:
		return hostile_address(rng);
	case 1:
		return 1UL << rng_below(rng, 64);
	case 2:
		return -rng_below(rng, 8192);
	case 3:
		return rng_below(rng, 64);
	case 4: /* a small number below 32 bits of dirt */
		return rng_next(rng) << 32 | rng_below(rng, 64);
	default:
		return rng_below(rng, SCRATCH_PAGES + 2) * PAGE_SIZE;
	}
}

/* A new task ends before it returns, so that no stack is needed; the caller goes on. */
static void clone_hostile(long nr, const unsigned long a[6])
{
	register unsigned long r10 __asm__("r10") = a[3];
	register unsigned long r8 __asm__("r8") = a[4];
	long ret;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "mov %5, %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n\t"
			 "ud2\n"
			 "1:"
			 : "=a"(ret), "+r"(r10), "+r"(r8)
			 : "a"(nr), "D"(a[0]), "i"(SYS_exit), "S"(a[1]), "d"(a[2])
			 : "rcx", "r11", "memory");
}

#define POPULATE_MOST (1UL << 20)
#define MAP_LOCKED 0x2000

/* Keep a call from what is legal and harms others: much memory, output, signals, its own end. */
static bool tame(long nr, unsigned long a[6], struct rng *rng)
{
	switch (nr) {
	case SYS_exit:
	case SYS_exit_group:
	case SYS_page_history: /* prints */
	case SYS_clone3:
		return false;
	case SYS_mmap:
		if (a[1] > POPULATE_MOST)
			a[3] &= ~(unsigned long)(MAP_POPULATE | MAP_LOCKED);
		return true;
	case SYS_madvise:
		a[1] %= POPULATE_MOST;
		return true;
	case SYS_getrandom:
		a[1] %= POPULATE_MOST;
		return true;
	case SYS_write:
	case 20: /* writev */
		a[0] |= 64;
		return true;
	case SYS_kill:
		a[0] = rng_below(rng, 2) ? (unsigned long)sys_getpid() : 0x70000000 + a[0] % 4096;
		return true;
	case SYS_tkill:
	case SYS_tgkill:
		a[0] = rng_below(rng, 2) ? (unsigned long)sys_getpid() : -a[0] % 4096;
		return true;
	default:
		return true;
	}
}

/* Half of the calls are of numbers that exist, for their deeper checks. */
static long hostile_number(struct rng *rng)
{
	static const short common[] = {0,   1,	 9,   10,  11,	12,  13,  14,  16,  20,	 24,  25,
				       28,  35,	 39,  56,  57,	58,  61,  62,  63,  97,	 98,  99,
				       109, 111, 121, 124, 127, 143, 145, 146, 147, 158, 160, 186,
				       200, 202, 203, 204, 218, 228, 229, 230, 234, 302, 309, 318};

	if (rng_below(rng, 2))
		return common[rng_below(rng, sizeof(common) / sizeof(common[0]))];
	if (rng_below(rng, 16) == 0)
		return (long)(rng_next(rng) << 32 | rng_below(rng, NR_MAX)) | 1L << 31;
	return rng_below(rng, NR_MAX);
}

static void hostile_call(struct rng *rng)
{
	long nr = hostile_number(rng);
	unsigned long a[6];

	for (unsigned i = 0; i < 6; i++)
		a[i] = hostile_argument(rng);
	if (!tame((int)nr, a, rng))
		return;
	if (nr == SYS_clone || nr == SYS_fork || nr == SYS_vfork)
		clone_hostile(nr, a);
	else
		syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Memory that is not the program's stays unreadable, whatever the calls before have done. */
static void read_kernel(struct rng *rng)
{
	unsigned long from = pick(rng, bad_pointers, 4);

	if (syscall3(SYS_write, 1, from, 16) > 0)
		sys_exit_group(STATUS_READ_KERNEL);
}

static void victim_thread(unsigned i)
{
	for (unsigned n = 0; n < CALLS; n++)
		hostile_call(&victim_rng[i]);
	read_kernel(&victim_rng[i]);
}

/* --- instructions --- */

/* Each ends with ret, for those that pass. */
static const unsigned char codes[][8] = {
	{0xfa, 0xc3},			/* cli */
	{0xf4, 0xc3},			/* hlt */
	{0x0f, 0x01, 0xf8, 0xc3},	/* swapgs */
	{0x48, 0x0f, 0x07, 0xc3},	/* sysret */
	{0x48, 0xcf, 0xc3},		/* iretq */
	{0x48, 0xcb, 0xc3},		/* retfq */
	{0x0f, 0x30, 0xc3},		/* wrmsr */
	{0x0f, 0x32, 0xc3},		/* rdmsr */
	{0x0f, 0x20, 0xd8, 0xc3},	/* mov rax, cr3 */
	{0x0f, 0x22, 0xd8, 0xc3},	/* mov cr3, rax */
	{0x0f, 0x21, 0xf8, 0xc3},	/* mov rax, dr7 */
	{0xec, 0xc3},			/* in al, dx */
	{0xef, 0xc3},			/* out dx, eax */
	{0x0f, 0x0b, 0xc3},		/* ud2 */
	{0xf1, 0xc3},			/* int1 */
	{0x0f, 0x34, 0xc3},		/* sysenter */
	{0xf0, 0x0f, 0x0b, 0xc3},	/* lock ud2 */
	{0x8e, 0xd8, 0xc3},		/* mov ds, ax */
	{0x8e, 0xd0, 0xc3},		/* mov ss, ax */
	{0xfd, 0x0f, 0x05, 0xfc, 0xc3}, /* std, syscall, cld */
	{0x0f, 0x01, 0xd0, 0xc3},	/* xgetbv */
	{0x0f, 0x01, 0xc1, 0xc3},	/* vmcall */
	{0x67, 0x0f, 0x01, 0x18, 0xc3}, /* lidt */
};

/* Call what is at @code with odd registers and, if @sp is not 0, on the stack @sp. */
static void run_code(unsigned long code, unsigned long sp, unsigned long ax)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "test %1, %1\n\t"
			 "cmovnz %1, %%rsp\n\t"
			 "call *%0\n\t"
			 "mov %%rbx, %%rsp"
			 : "+S"(code), "+D"(sp), "+a"(ax)
			 :
			 : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory", "cc");
}

/* The last thing that a victim does. */
static void odd_instruction(struct rng *rng)
{
	unsigned long page =
		sys_mmap(0, PAGE_SIZE, PROT_RW | PROT_EXEC, MAP_PRIVATE | MAP_ANON, -1, 0);
	unsigned long sp = rng_below(rng, 4) ? 0 : hostile_address(rng);
	unsigned char *code = (unsigned char *)page;

	if ((long)page < 0)
		return;
	switch (rng_below(rng, 3)) {
	case 0:
		run_code(hostile_address(rng), sp, 0);
		break;
	case 1:
		code[0] = 0xcd;
		code[1] = rng_below(rng, 256);
		code[2] = 0xc3;
		run_code(page, sp, 20 /* getpid, of int 0x80 */);
		break;
	default:
		memcpy(code, codes[rng_below(rng, sizeof(codes) / sizeof(codes[0]))], 8);
		run_code(page, sp, SYS_getpid);
	}
}

/* --- victims --- */

static void victim(struct rng *rng)
{
	unsigned threads = rng_below(rng, 3) ? 1 : 3;

	syscall3(SYS_setpgid, 0, 0, 0);
	for (unsigned i = 0; i < threads; i++)
		victim_rng[i] = rng_stream(rng_next(rng), i);
	if (random_calls && threads > 1)
		run_threads(threads, victim_thread);
	else if (random_calls)
		victim_thread(0);
	odd_instruction(rng);
	sys_exit_group(0);
}

/* Its wait status; after PATIENCE_MS it is killed, and SIGKILL ends whatever it does. */
static int end_of(int pid)
{
	static const u64 ms[2] = {0, 1000000};
	int status = -1;

	for (unsigned n = 0;; n++) {
		long ret = syscall6(SYS_wait4, pid, (long)&status, WNOHANG, 0, 0, 0);

		if (ret == pid)
			return status;
		CHECK(ret == 0, "wait4 answers %ld", ret);
		if (n == PATIENCE_MS)
			CHECK(syscall3(SYS_kill, pid, SIGKILL, 0) == 0, "kill");
		CHECK(n < 100 * PATIENCE_MS, "victim %d lives on after SIGKILL", pid);
		syscall3(SYS_nanosleep, ms, 0, 0);
	}
}

static void write_stamps(void)
{
	for (unsigned p = 0; p < work.pages; p++)
		stamp_write(stamps + p * PAGE_SIZE, p, 1);
}

static void check_stamps(void)
{
	for (unsigned p = 0; p < work.pages; p++)
		stamp_check(stamps + p * PAGE_SIZE, p, 1, sys_getpid(), 0);
}

static void one_victim(struct rng *rng)
{
	int pid = sys_fork(), status;

	if (pid == -ENOMEM || pid == -EAGAIN)
		return; /* the victim of another process has it all */
	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid)
		victim(rng);
	rng_next(rng);
	status = end_of(pid);
	CHECK(status != STATUS_READ_KERNEL << 8, "a victim read memory of the kernel");
}

static bool is_pteron(void)
{
	struct {
		char field[6][65];
	} name;

	CHECK(syscall3(SYS_uname, &name, 0, 0) == 0, "uname");
	return !memcmp(name.field[1], "pteron", 6);
}

void program_main(void)
{
	struct rng rng = thread_rng(work.index, 0);

	random_calls = is_pteron();
	stamps = must_map(work.pages * PAGE_SIZE, MAP_PRIVATE);
	scratch = must_map((SCRATCH_PAGES + 1) * PAGE_SIZE, MAP_PRIVATE);
	CHECK(!sys_munmap(scratch + SCRATCH_PAGES * PAGE_SIZE, PAGE_SIZE), "munmap");
	write_stamps();
	copies_are_refused();
	dirt_is_ignored();
	for (u64 round = 0; round < work.rounds; round++) {
		one_victim(&rng);
		check_stamps();
		if (work.index == 0)
			progress(round + 1);
	}
}
