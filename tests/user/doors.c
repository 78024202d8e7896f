/*
 * doors: each way into the kernel, with each odd state that a program can have.
 *
 * A thread fills every register that it owns with values of its own (general registers, flags, x87
 * and SSE with their control words, selectors, the bases of FS and GS, and a stack pointer that may
 * point anywhere), goes into the kernel and looks at all of them when it is back. Oracle: what
 * comes back is what went in, but for what the way itself changes; that is so, too, in the child of
 * a fork and in a new thread. Where Linux ends a program, a child goes there, and the signal is
 * Linux's. At the first instruction all registers are zero.
 */
#include "tests/user/lib/door.h"

#define CLOCK_MONOTONIC 1
#define SIGILL 4
#define SIGTRAP 5
#define SIGBUS 7
#define SIGFPE 8
#define SIGSEGV 11
#define NO_TF -1

#define SPINS 3000
#define STACK_SIZE (16UL << 10)

/* clang-format off */

/*
 * The ways. Each has a popfq in front of it, for those that begin with TF set. Behind those that come
 * back is door_left.
 */
#define WAY(name, code) \
	extern char way_##name[]; \
	__asm__("	popfq\n" "way_" #name ": " code "; jmp door_left\n")
#define WAY_SYSCALL(name, nr, code) \
	extern char way_##name[], way_##name##_back[]; \
	__asm__("	popfq\n" "way_" #name ": mov $" #nr ", %eax; syscall\n" \
		"way_" #name "_back: " code "; jmp door_left\n")

WAY_SYSCALL(getpid, 39, "");
WAY_SYSCALL(yield, 24, "");
WAY_SYSCALL(clock, 228, "");
WAY_SYSCALL(fork, 57, "");
/* A new thread stores to the door behind its parent's. */
WAY_SYSCALL(clone, 56, "xchg %rax, %rcx; jrcxz 1f; xchg %rax, %rcx; jmp door_left; "
	"1: xchg %rax, %rcx; lea 1408(%r15), %r15");
WAY(write, "movb $1, (%r14)");
WAY(read, "mov (%r14), %rax");
/* Until an interrupt has come, most likely. */
WAY(spin, "1: lea -1(%rcx), %rcx; jrcxz 2f; jmp 1b; 2:");

WAY(int3, "int3");
WAY(movss_int3, "mov %ss, %eax; mov %eax, %ss; int3");
WAY(movss_ud2, "mov %ss, %eax; mov %eax, %ss; ud2");
WAY(ud2, "ud2");
WAY(hlt, "hlt");
WAY(cli, "cli");
WAY(in, "in $0x80, %al");
WAY(mov_cr, "mov %cr4, %rax");
WAY(int1, "int $1");
WAY(int2, "int $2");
WAY(int4, "int $4");
WAY(int8, "int $8");
WAY(int13, "int $13");
WAY(int14, "int $14");
WAY(int32, "int $32");
WAY(int129, "int $129");
WAY(int255, "int $255");
WAY(jump, "jmp *%r14");
WAY(push, "push %rax");
WAY(call, "call *%rax");
WAY(iretq, "iretq");
WAY(lretq, "lretq");
WAY(divide, "xor %ecx, %ecx; div %rcx");
WAY(x87, "fninit; fldcw 1f(%rip); fldz; fld1; fdiv %st(1), %st; fwait; jmp door_left; 1: .word 0x0360");
WAY(load_fs, "mov %r14d, %fs");
WAY(load_ds, "mov %r14d, %ds");
WAY(load_ss, "mov %r14d, %ss");
WAY(avx, "vaddps %ymm0, %ymm1, %ymm2");
/* clang-format on */

/* --- ways that come back --- */

static void by_getpid(struct door *d, unsigned long page __unused)
{
	door_go(d, way_getpid);
	door_expect_syscall(d, sys_getpid(), way_getpid_back);
	door_check("getpid", d);
}

static void by_yield(struct door *d, unsigned long page __unused)
{
	door_go(d, way_yield);
	door_expect_syscall(d, 0, way_yield_back);
	door_check("sched_yield", d);
}

/* The kernel copies upwards, whatever DF was. */
static void by_copy(struct door *d, unsigned long page)
{
	u64 *words = (u64 *)(page + 512);

	for (int i = -8; i < 8; i++)
		words[i] = ~0UL;
	d->in[DI] = CLOCK_MONOTONIC;
	d->in[SI] = (unsigned long)words;
	door_go(d, way_clock);
	door_expect_syscall(d, 0, way_clock_back);
	door_check("clock_gettime", d);
	for (int i = -8; i < 8; i++)
		CHECK((words[i] == ~0UL) == (i != 0 && i != 1), "word %d is %lx", i, words[i]);
}

static void by_read_fault(struct door *d, unsigned long page)
{
	sys_madvise(page, PAGE_SIZE, MADV_DONTNEED);
	d->in[R14] = page;
	door_go(d, way_read);
	d->in[AX] = 0;
	door_check("read fault", d);
}

static void by_write_fault(struct door *d, unsigned long page)
{
	sys_madvise(page, PAGE_SIZE, MADV_DONTNEED);
	d->in[R14] = page;
	door_go(d, way_write);
	door_check("write fault", d);
	sys_mprotect(page, PAGE_SIZE, PROT_READ); /* an IPI for the other threads */
	sys_mprotect(page, PAGE_SIZE, PROT_RW);
}

static void by_interrupt(struct door *d, unsigned long page __unused)
{
	d->in[CX] = SPINS;
	door_go(d, way_spin);
	d->in[CX] = 0;
	door_check("interrupt", d);
}

static void by_fork(struct door *d, unsigned long page __unused)
{
	int self = sys_getpid();

	door_go(d, way_fork);
	door_expect_syscall(d, self == sys_getpid() ? (long)d->out[AX] : 0, way_fork_back);
	CHECK((long)d->out[AX] >= 0, "fork answers %ld", (long)d->out[AX]);
	door_check("fork", d);
	if (self != sys_getpid())
		sys_exit_group(0);
	CHECK(!wait_for(d->out[AX]), "the child");
}

#define CLONE_THREAD_FLAGS 0x250f00 /* VM FS FILES SIGHAND THREAD SYSVSEM CHILD_CLEARTID */
#define CLONE_SETTLS 0x80000

static void __noreturn __used new_thread(struct door *d)
{
	door_back(d);
	door_check("new thread", d);
	for (;;)
		syscall3(SYS_exit, 0, 0, 0);
}

/* The new thread's door: what its parent had, on a stack whose code begins with new_thread(). */
static void prepare_thread(struct door *d, unsigned long stack)
{
	u64 *sp = (u64 *)(stack + STACK_SIZE - 64);

	d[1] = d[0];
	*--sp = 0;
	*--sp = (unsigned long)new_thread;
	d[1].c_sp = (unsigned long)(sp - 6);
	d[1].in[SP] = d->in[SI];
	if (d->in[DI] & CLONE_SETTLS) {
		d[1].in_fs = d->in[R8];
		d[1].in_sel[2] = 0;
	}
	door_expect_syscall(&d[1], 0, way_clone_back);
}

static void by_clone(struct door *d, unsigned long page __unused)
{
	unsigned long stack = must_map(STACK_SIZE, MAP_PRIVATE);
	u32 *tid = (u32 *)stack;
	bool tls = d->in[AX] & 1;

	*tid = 1;
	d->in[DI] = CLONE_THREAD_FLAGS | (tls ? CLONE_SETTLS : 0);
	d->in[SI] = stack + STACK_SIZE - 8;
	d->in[R10] = (unsigned long)tid;
	d->in[R8] = tls ? stack + 64 : d->in[R8];
	if (tls)
		*(volatile u64 *)(stack + 64) = stack + 64; /* as get_base() wants it */
	prepare_thread(d, stack);
	door_go(d, way_clone);
	CHECK((long)d->out[AX] > 0, "clone answers %ld", (long)d->out[AX]);
	door_expect_syscall(d, d->out[AX], way_clone_back);
	door_check("clone", d);
	while (READ_ONCE(*tid))
		futex_wait(tid, 1);
	CHECK(!sys_munmap(stack, STACK_SIZE), "munmap");
}

static void (*const by_way[])(struct door *d, unsigned long page) = {
	by_getpid,	by_yield,     by_copy, by_read_fault,
	by_write_fault, by_interrupt, by_fork, by_clone,
};

/* --- ways that end the program --- */

static const struct death {
	const char *name, *way;
	int signal, with_tf; /* on Linux; the second if TF is set just before */
	unsigned long r14;
} deaths[] = {
	{"int3", way_int3, SIGTRAP, SIGTRAP, 0},
	{"mov ss, int3", way_movss_int3, SIGTRAP, SIGTRAP, 0},
	{"mov ss, ud2", way_movss_ud2, SIGILL, SIGTRAP, 0},
	{"ud2", way_ud2, SIGILL, SIGILL, 0},
	{"hlt", way_hlt, SIGSEGV, SIGSEGV, 0},
	{"cli", way_cli, SIGSEGV, SIGSEGV, 0},
	{"in", way_in, SIGSEGV, SIGSEGV, 0},
	{"mov from cr4", way_mov_cr, SIGSEGV, SIGSEGV, 0},
	{"int 1", way_int1, SIGSEGV, SIGSEGV, 0},
	{"int 2", way_int2, SIGSEGV, SIGSEGV, 0},
	{"int 4", way_int4, SIGSEGV, SIGSEGV, 0},
	{"int 8", way_int8, SIGSEGV, SIGSEGV, 0},
	{"int 13", way_int13, SIGSEGV, SIGSEGV, 0},
	{"int 14", way_int14, SIGSEGV, SIGSEGV, 0},
	{"int 32", way_int32, SIGSEGV, SIGSEGV, 0},
	{"int 129", way_int129, SIGSEGV, SIGSEGV, 0},
	{"int 255", way_int255, SIGSEGV, SIGSEGV, 0},
	{"read of a hole", way_read, SIGSEGV, SIGSEGV, 0x10},
	{"write to the kernel", way_write, SIGSEGV, SIGSEGV, KERNEL_POINTER},
	{"read of no address", way_read, SIGSEGV, SIGSEGV, NON_CANONICAL},
	{"jump to a hole", way_jump, SIGSEGV, NO_TF, 0x10},
	{"jump to the kernel", way_jump, SIGSEGV, NO_TF, KERNEL_POINTER},
	{"jump to no address", way_jump, SIGSEGV, NO_TF, NON_CANONICAL},
	{"division by zero", way_divide, SIGFPE, SIGTRAP, 0},
	{"x87 division by zero", way_x87, SIGFPE, SIGTRAP, 0},
	{"FS from an LDT", way_load_fs, SIGSEGV, SIGSEGV, 0x8007},
	{"DS of the kernel", way_load_ds, SIGSEGV, SIGSEGV, 0x10},
	{"SS null", way_load_ss, SIGSEGV, SIGSEGV, 3},
	{"SS of code", way_load_ss, SIGSEGV, SIGSEGV, 0x23},
	{"system call under TF", way_getpid, 0, SIGTRAP, 0},
};

/* A stack that is none; without TF, which needs a place for the flags. */
static const struct {
	const char *name, *way;
	unsigned long sp;
} bad_stacks[] = {
	{"push at 0", way_push, 0},
	{"push in the kernel", way_push, KERNEL_POINTER},
	{"push at no address", way_push, NON_CANONICAL},
	{"call at 8", way_call, 8},
	{"iretq in the kernel", way_iretq, KERNEL_POINTER},
	{"iretq at no address", way_iretq, NON_CANONICAL},
	{"lretq at 0", way_lretq, 0},
	{"lretq in the kernel", way_lretq, KERNEL_POINTER},
};

/* What an iretq or lretq shall load: ring 0, or an address that is none. */
static const u64 bad_frames[][5] = {
	{0x1234, 0x08, 0x202, 0x5000, 0x10},   {KERNEL_POINTER, 0x10, 0x3202, KERNEL_POINTER, 0x18},
	{NON_CANONICAL, 0x33, 0x202, 0, 0x2b}, {NON_CANONICAL, 0x23, 0x202, NON_CANONICAL, 0x1b},
	{0x1234, 0x07, 0x202, 0x5000, 0x07},   {0x1234, 0, 0, 0, 0},
};

/* The signal that ends a child which goes @d's way; 0: none does. */
static int signal_of_child(struct door *d, const char *way)
{
	int pid = sys_fork(), status;

	CHECK(pid >= 0, "fork answers %d", pid);
	if (!pid) {
		door_go(d, way);
		sys_exit_group(0);
	}
	status = wait_for(pid);
	return status & 0x7f;
}

static void check_signal(const char *name, int got, int want)
{
	CHECK(got == want, "%s: signal %d ended the child, not %d", name, got, want);
}

static void die(struct door *d, const struct death *how, struct rng *rng)
{
	static u64 flags_on_stack[32];
	bool tf = !how->signal || (how->with_tf != NO_TF && rng_below(rng, 3) == 0);

	door_choose(d, rng);
	d->in[R14] = how->r14;
	if (tf) {
		flags_on_stack[16] = d->in[FLAGS] | FLAGS_TF;
		d->in[SP] = (unsigned long)&flags_on_stack[16];
	}
	check_signal(how->name, signal_of_child(d, how->way - tf), tf ? how->with_tf : how->signal);
}

/* Where the CPU tells a stack that is no address from other pointers Linux says SIGBUS. */
static void die_by_stack(struct door *d, unsigned i, struct rng *rng)
{
	int signal;

	door_choose(d, rng);
	d->in[SP] = bad_stacks[i].sp;
	signal = signal_of_child(d, bad_stacks[i].way);
	if (bad_stacks[i].sp != NON_CANONICAL || signal != SIGBUS)
		check_signal(bad_stacks[i].name, signal, SIGSEGV);
}

static void die_by_frame(struct door *d, unsigned i, struct rng *rng)
{
	static u64 stack[64];

	door_choose(d, rng);
	memcpy(&stack[32], bad_frames[i], sizeof(bad_frames[i]));
	d->in[SP] = (unsigned long)&stack[32];
	check_signal("iretq", signal_of_child(d, way_iretq), SIGSEGV);
	check_signal("lretq", signal_of_child(d, way_lretq), SIGSEGV);
}

/* The CPU has AVX, and the kernel has it switched on. */
static bool has_avx(void)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (!(ecx & BIT(27))) /* OSXSAVE */
		return false;
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (eax & 6) == 6;
}

/* AVX is no program's, or it is saved as all else. */
static void check_avx(struct door *d, struct rng *rng)
{
	u64 in[4] = {rng_next(rng), rng_next(rng), rng_next(rng), rng_next(rng)}, out[4];

	door_choose(d, rng);
	if (!has_avx()) {
		check_signal("AVX", signal_of_child(d, way_avx), SIGILL);
		return;
	}
	__asm__ volatile("vmovdqu %0, %%ymm7" : : "m"(in));
	sys_yield();
	__asm__ volatile("vmovdqu %%ymm7, %0; vzeroupper" : "=m"(out));
	CHECK(!memcmp(in, out, sizeof(in)), "ymm7");
}

/* A few of all in one round, so that several rounds have them all. */
static void some_deaths(struct door *d, u64 round, struct rng *rng)
{
	for (unsigned i = round % 4; i < ARRAY_SIZE(deaths); i += 4)
		die(d, &deaths[i], rng);
	die_by_stack(d, round % ARRAY_SIZE(bad_stacks), rng);
	die_by_frame(d, round % ARRAY_SIZE(bad_frames), rng);
	check_avx(d, rng);
}

static struct door doors[MAX_THREADS][2];

static void thread_main(unsigned i)
{
	unsigned long page = must_map(PAGE_SIZE, MAP_PRIVATE);
	struct door *d = doors[i];

	for (u64 round = 0; round < work.rounds; round++) {
		struct rng rng = thread_rng(i, round);

		for (unsigned k = 0; k < ARRAY_SIZE(by_way); k++) {
			door_choose(d, &rng);
			by_way[(k + i) % ARRAY_SIZE(by_way)](d, page);
		}
		if (i == 0) {
			some_deaths(d, round + work.index, &rng);
			progress(round + 1);
		}
	}
}

void program_main(void)
{
	door_init();
	door_check_start();
	run_threads(work.threads, thread_main);
}
