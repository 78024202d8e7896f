/*
 * Registers in and out of the kernel; see door.h.
 */
#include "tests/user/lib/door.h"

#define SYS_arch_prctl 158
#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define AT_HWCAP2 26
#define HWCAP2_FSGSBASE BIT(1)

/* CF PF AF ZF SF OF, DF, NT, AC, ID */
#define FLAGS_ODD (0x8d5 | BIT(10) | BIT(14) | BIT(18) | BIT(21))

void door_enter(struct door *d);

/* clang-format off */
__asm__(
	".globl door_enter, door_left\n"
	"door_enter:\n"
	"	push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rdi, %r15\n"
	"	mov %rsp, 264(%r15)\n"
	"	fxrstor64 384(%r15)\n"
	"	pushq 120(%r15); popfq\n"
	"	mov 112(%r15), %rsp\n"
	"	mov 0(%r15), %rax; mov 8(%r15), %rbx; mov 16(%r15), %rcx; mov 24(%r15), %rdx\n"
	"	mov 32(%r15), %rsi; mov 40(%r15), %rdi; mov 48(%r15), %rbp; mov 56(%r15), %r8\n"
	"	mov 64(%r15), %r9; mov 72(%r15), %r10; mov 80(%r15), %r11; mov 88(%r15), %r12\n"
	"	mov 96(%r15), %r13; mov 104(%r15), %r14\n"
	"	jmp *256(%r15)\n"
	"door_left:\n"
	"	mov %rax, 128(%r15); mov %rbx, 136(%r15); mov %rcx, 144(%r15); mov %rdx, 152(%r15)\n"
	"	mov %rsi, 160(%r15); mov %rdi, 168(%r15); mov %rbp, 176(%r15); mov %r8, 184(%r15)\n"
	"	mov %r9, 192(%r15); mov %r10, 200(%r15); mov %r11, 208(%r15); mov %r12, 216(%r15)\n"
	"	mov %r13, 224(%r15); mov %r14, 232(%r15); mov %rsp, 240(%r15)\n"
	"	mov 264(%r15), %rsp\n"
	"	pushfq; popq 248(%r15)\n"
	"	pushq $2; popfq\n"
	"	fxsave64 896(%r15)\n"
	"	fninit; ldmxcsr default_mxcsr\n"
	"	mov %ds, 272(%r15); mov %es, 274(%r15); mov %fs, 276(%r15); mov %gs, 278(%r15)\n"
	"	mov %r15, %rdi\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
	"	ret\n"
	".pushsection .rodata\n"
	"default_mxcsr: .long 0x1f80\n"
	".popsection\n");
/* clang-format on */

static const char *const reg_names[NR_REGS] = {"rax", "rbx", "rcx", "rdx",  "rsi", "rdi",
					       "rbp", "r8",  "r9",  "r10",  "r11", "r12",
					       "r13", "r14", "rsp", "flags"};

static bool has_fsgsbase;
static u16 user_ss;

/* --- selectors and bases --- */

/* Each word is its own address: a load from a base tells which base the CPU has. */
static unsigned long landmarks[512];

/* The base that the CPU uses; wrong, or a fault, if it is neither 0 nor that of a landmark. */
static unsigned long base_in_use(bool gs, unsigned long expected)
{
	unsigned long offset = expected ? 0 : (unsigned long)landmarks, found;

	if (gs)
		__asm__ volatile("mov %%gs:(%1), %0" : "=r"(found) : "r"(offset));
	else
		__asm__ volatile("mov %%fs:(%1), %0" : "=r"(found) : "r"(offset));
	return found - offset;
}

/* Without FSGSBASE the kernel tells, but only what it remembers: so the base is used, too. */
static unsigned long get_base(bool gs)
{
	unsigned long base = 0;

	if (!has_fsgsbase) {
		CHECK(!syscall3(SYS_arch_prctl, gs ? ARCH_GET_GS : ARCH_GET_FS, &base, 0),
		      "arch_prctl");
		return base_in_use(gs, base);
	}
	if (gs)
		__asm__ volatile("rdgsbase %0" : "=r"(base));
	else
		__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static void set_base(bool gs, unsigned long base)
{
	if (!has_fsgsbase)
		CHECK(!syscall3(SYS_arch_prctl, gs ? ARCH_SET_GS : ARCH_SET_FS, base, 0),
		      "arch_prctl");
	else if (gs)
		__asm__ volatile("wrgsbase %0" : : "r"(base));
	else
		__asm__ volatile("wrfsbase %0" : : "r"(base));
}

static void load_selectors(const u16 sel[4])
{
	__asm__ volatile("mov %0, %%ds" : : "m"(sel[0]));
	__asm__ volatile("mov %0, %%es" : : "m"(sel[1]));
	__asm__ volatile("mov %0, %%fs" : : "m"(sel[2]));
	__asm__ volatile("mov %0, %%gs" : : "m"(sel[3]));
}

/* Where a base may point: with FSGSBASE a program can name the kernel's half. */
static unsigned long random_base(struct rng *rng)
{
	unsigned long base = rng_next(rng) >> 17 & ~7UL;

	if (!has_fsgsbase)
		return (unsigned long)&landmarks[rng_below(rng, ARRAY_SIZE(landmarks))];
	return rng_below(rng, 2) ? base | 0xffff800000000000UL : base;
}

/* A base stays with a null selector; where it can be set by itself, with any. */
static void choose_segments(struct door *d, struct rng *rng)
{
	unsigned pick = rng_next(rng);

	for (unsigned i = 0; i < 4; i++)
		d->in_sel[i] = pick >> i & 1 ? user_ss : 0;
	d->in_fs = has_fsgsbase || !d->in_sel[2] ? random_base(rng) : 0;
	d->in_gs = has_fsgsbase || !d->in_sel[3] ? random_base(rng) : 0;
}

static void load_segments(const struct door *d)
{
	load_selectors(d->in_sel);
	if (has_fsgsbase || !d->in_sel[2])
		set_base(false, d->in_fs);
	if (has_fsgsbase || !d->in_sel[3])
		set_base(true, d->in_gs);
}

/* --- the state that goes in --- */

static void fill(void *p, size_t n, struct rng *rng)
{
	for (u64 *w = p; n; n -= 8)
		*w++ = rng_next(rng);
}

/* Anything that may be loaded, and no exception that waits for the next instruction. */
static void choose_fpu(struct fpu_image *f, struct rng *rng)
{
	memset(f, 0, sizeof(*f));
	fill(f->st, sizeof(f->st) + sizeof(f->xmm), rng);
	f->fcw = 0x37f & ~(rng_next(rng) & 0x033f);
	f->fcw |= rng_next(rng) & 0xc00;
	f->fsw = rng_next(rng) & 0x7f00; /* top and conditions */
	f->ftw = rng_next(rng);
	f->mxcsr = rng_next(rng) & 0xffbf; /* all but DAZ, which an old CPU may lack */
}

static unsigned long choose_sp(struct rng *rng)
{
	static const unsigned long odd[] = {0, 8, KERNEL_POINTER, NON_CANONICAL, ~0UL, 0x1001};

	return odd[rng_below(rng, ARRAY_SIZE(odd))];
}

void door_choose(struct door *d, struct rng *rng)
{
	fill(d->in, sizeof(d->in), rng);
	d->in[SP] = choose_sp(rng);
	d->in[FLAGS] &= FLAGS_ODD | FLAGS_IOPL;
	choose_fpu(&d->in_fpu, rng);
	choose_segments(d, rng);
}

void door_back(struct door *d)
{
	d->out_fs = get_base(false);
	d->out_gs = get_base(true);
	load_selectors((const u16[4]){0});
}

void door_go(struct door *d, const char *way)
{
	d->way = (unsigned long)way;
	load_segments(d);
	door_enter(d);
	door_back(d);
}

/* --- the state that comes back --- */

static void check_fpu(const struct door *d)
{
	const struct fpu_image *in = &d->in_fpu, *out = &d->out_fpu;

	CHECK(out->fcw == in->fcw, "FCW was %x, is %x", in->fcw, out->fcw);
	CHECK(out->fsw == in->fsw, "FSW was %x, is %x", in->fsw, out->fsw);
	CHECK(out->ftw == in->ftw, "FTW was %x, is %x", in->ftw, out->ftw);
	CHECK(out->mxcsr == in->mxcsr, "MXCSR was %x, is %x", in->mxcsr, out->mxcsr);
	for (unsigned i = 0; i < 8; i++)
		CHECK(!memcmp(out->st[i], in->st[i], 10), "st%u", i);
	for (unsigned i = 0; i < 16; i++)
		CHECK(!memcmp(out->xmm[i], in->xmm[i], 16), "xmm%u was %lx, is %lx", i,
		      *(const u64 *)in->xmm[i], *(const u64 *)out->xmm[i]);
}

static void check_segments(const struct door *d)
{
	for (unsigned i = 0; i < 4; i++)
		CHECK(d->out_sel[i] == d->in_sel[i], "selector %u was %x, is %x", i, d->in_sel[i],
		      d->out_sel[i]);
	CHECK(d->out_fs == d->in_fs, "FS base was %lx, is %lx", d->in_fs, d->out_fs);
	CHECK(d->out_gs == d->in_gs, "GS base was %lx, is %lx", d->in_gs, d->out_gs);
}

/* All registers are what they were, @d->in having been changed to what the way makes of them. */
void door_check(const char *way, struct door *d)
{
	d->in[FLAGS] = (d->in[FLAGS] & ~(u64)FLAGS_IOPL) | FLAGS_FIXED;
	for (unsigned i = 0; i < NR_REGS; i++)
		CHECK(d->out[i] == d->in[i], "%s: %s was %lx, is %lx", way, reg_names[i], d->in[i],
		      d->out[i]);
	check_fpu(d);
	check_segments(d);
}

/* What SYSCALL does, and the result. */
void door_expect_syscall(struct door *d, long result, const char *back)
{
	d->in[AX] = result;
	d->in[CX] = (unsigned long)back;
	d->in[R11] = (d->in[FLAGS] & ~(u64)FLAGS_IOPL) | FLAGS_FIXED;
}

void door_check_start(void)
{
	const struct fpu_image *f = (const struct fpu_image *)start_state.fpu;
	u16 sel[4];

	for (unsigned i = 0; i < ARRAY_SIZE(start_state.regs); i++)
		CHECK(!start_state.regs[i], "register %u is %lx at the start", i,
		      start_state.regs[i]);
	CHECK(start_state.flags == FLAGS_FIXED, "flags are %lx at the start", start_state.flags);
	CHECK(f->fcw == 0x37f && !f->fsw && !f->ftw && f->mxcsr == 0x1f80,
	      "FCW %x FSW %x FTW %x MXCSR %x at the start", f->fcw, f->fsw, f->ftw, f->mxcsr);
	for (const u64 *w = (const u64 *)f->st; w < (const u64 *)f->unused; w++)
		CHECK(!*w, "an FPU register is %lx at the start", *w);
	memcpy(sel, start_state.selectors, sizeof(sel));
	CHECK(!sel[0] && !sel[1] && !sel[2] && !sel[3], "selectors %x %x %x %x at the start",
	      sel[0], sel[1], sel[2], sel[3]);
	CHECK(!get_base(false) && !get_base(true), "bases at the start");
}

void door_init(void)
{
	has_fsgsbase = start_auxv(AT_HWCAP2) & HWCAP2_FSGSBASE;
	for (unsigned i = 0; i < ARRAY_SIZE(landmarks); i++)
		landmarks[i] = (unsigned long)&landmarks[i];
	__asm__ volatile("mov %%ss, %0" : "=r"(user_ss));
}
