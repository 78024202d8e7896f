/*
 * Programs whose every round faults at one instruction, by the ten thousand: `loops` must not be
 * taken for a fault loop, and must not notice that the kernel looked whether there is progress.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS 10500
#define PAGE 4096UL
#define TF 0x100UL
#define FUTEX_WAIT 0
#define FUTEX_WAKE 1

static char *page;

static void fail(const char *what)
{
	printf("FAIL %s\n", what);
	exit(1);
}

static void drop(void)
{
	if (madvise(page, PAGE, MADV_DONTNEED))
		fail("madvise");
}

/* --- one thread, with a system call in each round --- */

static void touch_and_drop(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		*(volatile char *)page = 1;
		drop();
	}
}

/* The kernel's own access faults, always at the same instruction. */
static void kernel_touches(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (syscall(SYS_futex, page, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ||
		    syscall(SYS_futex, page, FUTEX_WAIT, 1, NULL, NULL, 0) == 0)
			fail("futex");
		drop();
	}
}

static void map_touch_unmap(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			       0);

		*(volatile char *)p = 1;
		munmap(p, PAGE);
	}
}

/* --- an instruction that faults in page after page, and no system call in between --- */

static char *pages;

static void load(char *p)
{
	__asm__ volatile("movb (%0), %%al" : : "r"(p) : "al", "memory");
}

static void copy(char *p)
{
	char *from = p + 64;
	unsigned long n = 16;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
}

/* What PUSHF writes is the program's flags, and nothing that a kernel has set for itself. */
static void push_flags(char *p)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %0, %%rsp\n\t"
			 "pushfq\n\t"
			 "mov %%rbx, %%rsp"
			 :
			 : "r"(p + PAGE)
			 : "rbx", "memory");
	if (*(unsigned long *)(p + PAGE - 8) & TF)
		fail("PUSHF shows a trap flag that nobody asked for");
}

/* The page is as empty as the flags may be. */
static void pop_flags(char *p)
{
	__asm__ volatile("mov %%rsp, %%rbx\n\t"
			 "mov %0, %%rsp\n\t"
			 "popfq\n\t"
			 "mov %%rbx, %%rsp"
			 :
			 : "r"(p)
			 : "rbx", "memory", "cc");
}

/* From the last page to the first, so that no fault serves the next one too. */
static __attribute__((always_inline)) inline void in_each_page(void (*instruction)(char *p))
{
	for (unsigned long i = ROUNDS; i-- > 0;)
		instruction(pages + i * PAGE);
	if (madvise(pages, ROUNDS * PAGE, MADV_DONTNEED))
		fail("madvise");
}

static void *map(unsigned long size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(void)
{
	page = map(PAGE);
	pages = map(ROUNDS * PAGE);
	touch_and_drop();
	kernel_touches();
	map_touch_unmap();
	in_each_page(load);
	in_each_page(copy);
	in_each_page(push_flags);
	in_each_page(pop_flags);
	printf("ok\n");
	return 0;
}
