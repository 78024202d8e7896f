/*
 * The first instructions of a ring-3 program: from the stack that the kernel built (psABI 3.4.1) to
 * program_main(). What the registers hold is kept. Arguments: program seed rounds threads pages
 * index.
 */
#include "tests/user/lib/user.h"

struct work work;
struct start_state start_state;
static const unsigned long *start_stack;

static_assert(offsetof(struct start_state, flags) == 120, "_start");
static_assert(offsetof(struct start_state, selectors) == 128, "_start");
static_assert(offsetof(struct start_state, fpu) == 144, "_start");

void start_c(const unsigned long *sp) __noreturn;

__asm__(".globl _start\n"
	"_start:\n"
	"	mov %rax, start_state; mov %rbx, start_state + 8; mov %rcx, start_state + 16\n"
	"	mov %rdx, start_state + 24; mov %rsi, start_state + 32; mov %rdi, start_state + "
	"40\n"
	"	mov %rbp, start_state + 48; mov %r8, start_state + 56; mov %r9, start_state + 64\n"
	"	mov %r10, start_state + 72; mov %r11, start_state + 80; mov %r12, start_state + "
	"88\n"
	"	mov %r13, start_state + 96; mov %r14, start_state + 104; mov %r15, start_state + "
	"112\n"
	"	pushfq; popq start_state + 120\n"
	"	mov %ds, start_state + 128; mov %es, start_state + 130\n"
	"	mov %fs, start_state + 132; mov %gs, start_state + 134\n"
	"	fxsave64 start_state + 144\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call start_c\n");

static u64 number(const char *s)
{
	u64 v = 0;

	for (; *s >= '0' && *s <= '9'; s++)
		v = v * 10 + *s - '0';
	CHECK(!*s, "argument %s is not a number", s);
	return v;
}

unsigned long start_auxv(unsigned long type)
{
	const unsigned long *p = start_stack + 1 + start_stack[0] + 1;

	while (*p++) /* the environment */
		;
	for (; p[0]; p += 2)
		if (p[0] == type)
			return p[1];
	return 0;
}

void start_c(const unsigned long *sp)
{
	unsigned long argc = sp[0];
	const char *const *argv = (const char *const *)(sp + 1);

	start_stack = sp;
	work.program = argv[0];
	for (const char *p = argv[0]; *p; p++)
		if (*p == '/')
			work.program = p + 1;
	work.seed = argc > 1 ? number(argv[1]) : 1;
	work.rounds = argc > 2 ? number(argv[2]) : 2;
	work.threads = argc > 3 ? number(argv[3]) : 2;
	work.pages = argc > 4 ? number(argv[4]) : 64;
	work.index = argc > 5 ? number(argv[5]) : 0;
	CHECK(work.threads >= 1 && work.threads <= MAX_THREADS, "%u threads", work.threads);
	program_main();
	sys_exit_group(0);
}
