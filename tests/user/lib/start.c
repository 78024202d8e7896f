/*
 * The first instructions of a ring-3 program: from the stack that the kernel built (psABI 3.4.1) to
 * program_main(). Arguments: program seed rounds threads pages index.
 */
#include "tests/user/lib/user.h"

struct work work;

void start_c(const unsigned long *sp) __noreturn;

__asm__(".globl _start\n"
	"_start:\n"
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

void start_c(const unsigned long *sp)
{
	unsigned long argc = sp[0];
	const char *const *argv = (const char *const *)(sp + 1);

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
