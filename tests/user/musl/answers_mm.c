/*
 * Answers of the calls of memory management; see answers.h.
 */
#include "answers.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#define MAP_SHARED_VALIDATE_ 3
#define PROT_SEM_ 8
#define PROT_UP 0x02000000
#define PROT_DOWN 0x01000000
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define SHARED (MAP_SHARED | MAP_ANONYMOUS)
#define TOP 0x7ffffffff000UL
#define FAR ((char *)0x300000000000)

static char *map(size_t len, int prot)
{
	return mmap(0, len, prot, ANON, -1, 0);
}

static char *map_at(char *addr, size_t len, int flags)
{
	return mmap(addr, len, RW, ANON | MAP_FIXED | flags, -1, 0);
}

static void reads(void *a)
{
	(void)*(volatile char *)a;
}

static void writes(void *a)
{
	*(volatile char *)a = 1;
}

static void calls(void *a)
{
	((void (*)(void))a)();
}

static void mmap_rows(void)
{
	char *a = map(4 * PAGE, RW), *low;

	E(EINVAL, mmap(0, 0, RW, ANON, -1, 0));
	E(EINVAL, mmap(0, PAGE, RW, MAP_ANONYMOUS, -1, 0));
	E(EINVAL, mmap(0, PAGE, RW, ANON | MAP_SHARED, -1, 0));
	E(EINVAL, mmap(0, PAGE, RW, MAP_SHARED_VALIDATE_ | MAP_ANONYMOUS, -1, 0));
	E(EINVAL, mmap(0, PAGE, RW, 0x0f | MAP_ANONYMOUS, -1, 0));
	E(EBADF, mmap(0, PAGE, RW, MAP_PRIVATE, -1, 0));
	E(EBADF, mmap(0, PAGE, RW, MAP_PRIVATE, 77, 0));
	E(EINVAL, S(SYS_mmap, 0, PAGE, RW, ANON, -1, 1));
	E(EINVAL, mmap((void *)0x10001, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(ENOMEM, mmap((void *)TOP, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(ENOMEM, mmap((void *)(TOP + 1), PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(ENOMEM, mmap((void *)TOP, PAGE, RW, MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	E(ENOMEM, mmap((void *)-PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0));
	E(ENOMEM, S(SYS_mmap, 0, 1UL << 47, RW, ANON, -1, 0));
	E(ENOMEM, S(SYS_mmap, 0, -1UL, RW, ANON, -1, 0));
	E(ENOMEM, S(SYS_mmap, 0, -PAGE, RW, ANON, -1, 0));
	E(EEXIST, mmap(a, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	E(EEXIST, mmap(a - PAGE, 2 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0));
	V(PAGE, (char *)mmap(a + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) - a);
	V(0, (char *)mmap(FAR + 5, PAGE, RW, ANON, -1, 0) - FAR);
	V(0, munmap(FAR, PAGE));
	low = mmap(0, PAGE, RW, ANON | MAP_32BIT, -1, 0);
	V(1, low != MAP_FAILED && (unsigned long)low + PAGE <= 1UL << 31);
	E(ENOMEM, mmap(0, 1UL << 31, PROT_NONE, ANON | MAP_32BIT, -1, 0));
	E(EINVAL, mmap(0, 1UL << 21, RW, ANON | MAP_HUGETLB | 5 << 26, -1, 0));
	P(mmap(0, PAGE, RW, ANON | MAP_NORESERVE | MAP_STACK | 0x800 | 0x1000, -1, 0));
	P(mmap(0, PAGE, RW, ANON | MAP_LOCKED, -1, 0));
	P(mmap(0, PAGE, RW, ANON | MAP_NONBLOCK | MAP_POPULATE, -1, 0));
	P(mmap(0, PAGE, RW | 0x700, ANON, -1, 0));
	P(mmap(0, PAGE, RW, ANON | 0x200000, -1, 0));
	E(EINVAL, mmap(0, PAGE, RW, SHARED | MAP_GROWSDOWN, -1, 0));
	P(mmap(0, 1UL << 36, PROT_NONE, ANON, -1, 0));
	munmap(a, 4 * PAGE);
}

static void munmap_rows(void)
{
	char *a = map(PAGE, RW);

	E(EINVAL, munmap(a, 0));
	E(EINVAL, munmap(a + 1, PAGE));
	E(EINVAL, munmap((void *)-PAGE, PAGE));
	E(EINVAL, munmap((void *)TOP, PAGE));
	E(EINVAL, munmap((void *)PAGE, 1UL << 47));
	E(EINVAL, munmap(a, -1UL));
	V(0, munmap(FAR, PAGE));
	V(0, munmap(a, 1));
	V(SIGSEGV, dies(reads, a));
}

static void mprotect_rows(void)
{
	char *a = map(4 * PAGE, RW), *h = map(3 * PAGE, RW), *e;

	E(EINVAL, S(SYS_mprotect, a + 1, PAGE, PROT_READ));
	V(0, S(SYS_mprotect, a, 0, PROT_READ));
	V(0, S(SYS_mprotect, a, 0, 0x100));
	E(ENOMEM, S(SYS_mprotect, FAR, PAGE, PROT_READ));
	E(EINVAL, S(SYS_mprotect, a, PAGE, 0x100));
	E(EINVAL, S(SYS_mprotect, FAR, PAGE, 0x100));
	V(0, S(SYS_mprotect, a, PAGE, RW | PROT_SEM_));
	E(ENOMEM, S(SYS_mprotect, a, -1UL, PROT_READ));
	E(ENOMEM, S(SYS_mprotect, (void *)-PAGE, PAGE, PROT_READ));
	E(ENOMEM, S(SYS_mprotect, (void *)(1UL << 47), PAGE, PROT_READ));
	E(EINVAL, S(SYS_mprotect, a, PAGE, PROT_READ | PROT_DOWN));
	E(EINVAL, S(SYS_mprotect, a, PAGE, PROT_READ | PROT_UP));
	E(EINVAL, S(SYS_mprotect, a, 0, PROT_READ | PROT_UP | PROT_DOWN));
	E(ENOMEM, S(SYS_mprotect, FAR, PAGE, PROT_READ | PROT_DOWN));
	E(EINVAL, S(SYS_mprotect, a, PAGE, PROT_READ | 1UL << 40));
	munmap(h + PAGE, PAGE);
	E(ENOMEM, S(SYS_mprotect, h, 3 * PAGE, PROT_READ));
	V(SIGSEGV, dies(writes, h));
	V(0, dies(writes, h + 2 * PAGE));
	e = map(PAGE, RW | PROT_EXEC);
	e[0] = 0xc3;
	V(0, dies(calls, e));
	V(0, S(SYS_mprotect, e, PAGE, RW));
	V(SIGSEGV, dies(calls, e));
	V(0, S(SYS_mprotect, e, PAGE, PROT_NONE));
	V(SIGSEGV, dies(reads, e));
	V(0, S(SYS_mprotect, e, PAGE, PROT_WRITE));
	V(0, dies(reads, e));
}

static void mremap_rows(void)
{
	char *r = map(8 * PAGE, RW), *g = map(4 * PAGE, RW), *to = map(8 * PAGE, RW), *s, *again;

	memset(r, 7, 8 * PAGE);
	E(EINVAL, S(SYS_mremap, r + 1, PAGE, 2 * PAGE, 1, 0));
	E(EINVAL, S(SYS_mremap, r, 0, PAGE, 1, 0));
	E(EINVAL, S(SYS_mremap, r, PAGE, 0, 1, 0));
	E(EINVAL, S(SYS_mremap, r, PAGE, 2 * PAGE, 8, 0));
	E(EINVAL, S(SYS_mremap, r, PAGE, PAGE, 1UL << 32, 0));
	E(EINVAL, S(SYS_mremap, r, PAGE, PAGE, MREMAP_FIXED, to));
	E(EINVAL, S(SYS_mremap, r, 2 * PAGE, 2 * PAGE, 3, r + PAGE));
	E(EINVAL, S(SYS_mremap, r, PAGE, PAGE, 3, to + 1));
	E(EINVAL, S(SYS_mremap, r, PAGE, PAGE, 3, -PAGE));
	E(EFAULT, S(SYS_mremap, FAR, PAGE, 2 * PAGE, 1, 0));
	E(EFAULT, S(SYS_mremap, FAR, PAGE, PAGE, 3, to));
	E(EFAULT, S(SYS_mremap, r, 64 * PAGE, 65 * PAGE, 1, 0));
	E(EINVAL, S(SYS_mremap, r, -1UL, PAGE, 1, 0));
	V(0, (char *)S(SYS_mremap, r, 8 * PAGE, 4 * PAGE, 0, 0) - r);
	V(SIGSEGV, dies(reads, r + 4 * PAGE));
	V(0, (char *)S(SYS_mremap, r, 4 * PAGE, 4 * PAGE, 0, 0) - r);
	V(7, *(char *)S(SYS_mremap, r, 4 * PAGE, 64 * PAGE, 1, 0));
	E(EINVAL, S(SYS_mremap, g, PAGE, 2 * PAGE, MREMAP_DONTUNMAP | 1, 0));
	E(EINVAL, S(SYS_mremap, g, PAGE, PAGE, MREMAP_DONTUNMAP, 0));
	g[0] = 5;
	s = (char *)S(SYS_mremap, g, PAGE, PAGE, MREMAP_DONTUNMAP | 1, 0);
	V(5, s[0]);
	V(0, g[0]);
	V(0, mprotect(g + PAGE, PAGE, PROT_READ));
	E(EFAULT, S(SYS_mremap, g, 4 * PAGE, 8 * PAGE, 1, 0));
	s = mmap(0, 2 * PAGE, RW, SHARED, -1, 0);
	s[0] = 5;
	again = (char *)S(SYS_mremap, s, 0, PAGE, 1, 0);
	V(5, again[0]);
	s[0] = 9;
	V(9, again[0]);
	E(ENOMEM, S(SYS_mremap, s, 0, PAGE, 0, 0));
	again = mmap(0, 8 * PAGE, RW, SHARED, -1, 0);
	V(0,
	  (char *)S(SYS_mremap, again + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_DONTUNMAP | 3, FAR) -
		  FAR);
	V(0, munmap(FAR, 2 * PAGE));
	s = (char *)S(SYS_mremap, s, 2 * PAGE, 4 * PAGE, 1, 0);
	V(9, s[0]);
	V(0, dies(writes, s + PAGE));
	V(SIGBUS, dies(writes, s + 2 * PAGE));
	V(SIGBUS, dies(reads, s + 3 * PAGE));
	if (since(6, 17)) {
		E(EINVAL, S(SYS_mremap, r, PAGE, 1UL << 48, 1, 0));
		g[0] = 1;
		g[2 * PAGE] = 3;
		V(0, (char *)S(SYS_mremap, g, 4 * PAGE, 4 * PAGE, 3, to) - to);
		V(1, to[0]);
		V(3, to[2 * PAGE]);
		V(SIGSEGV, dies(writes, to + PAGE));
		V(SIGSEGV, dies(reads, g));
	}
}

static void madvise_rows(void)
{
	static const short fine[] = {0, 1, 2, 3, 4, 8, 10, 11, 18, 19, 20, 21, 22, 23, 24};
	static const short unknown[] = {5, 6, 7, 9, 26, 27, 99, 9999, -1};
	char *r = map(2 * PAGE, RW), *h = map(3 * PAGE, RW), *s = mmap(0, PAGE, RW, SHARED, -1, 0);

	for (unsigned i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
		V(0, madvise(r, 2 * PAGE, fine[i]));
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		E(EINVAL, madvise(r, 2 * PAGE, unknown[i]));
	V(0, S(SYS_madvise, r, PAGE, MADV_DONTNEED | DIRT));
	E(EINVAL, madvise(r + 1, PAGE, MADV_DONTNEED));
	V(0, madvise(r, 0, MADV_DONTNEED));
	E(EINVAL, madvise(r, 0, 9999));
	E(EINVAL, S(SYS_madvise, r, -1UL, MADV_DONTNEED));
	E(ENOMEM, madvise(FAR, PAGE, MADV_DONTNEED));
	E(ENOMEM, madvise(FAR, PAGE, 22));
	E(EINVAL, madvise(s, PAGE, 8));
	E(EINVAL, madvise(s, PAGE, 18));
	munmap(h + PAGE, PAGE);
	E(ENOMEM, madvise(h, 3 * PAGE, MADV_DONTNEED));
	E(ENOMEM, madvise(h, 3 * PAGE, MADV_WILLNEED));
	E(ENOMEM, madvise(h, 3 * PAGE, 10));
	V(0, mprotect(h, PAGE, PROT_READ));
	E(EINVAL, madvise(h, PAGE, 23));
	V(0, mprotect(h, PAGE, PROT_NONE));
	E(EINVAL, madvise(h, PAGE, 22));
	E(EINVAL, madvise(map(PAGE, PROT_WRITE), PAGE, 22));
	s = (char *)S(SYS_mremap, s, PAGE, 2 * PAGE, 1, 0);
	E(EFAULT, madvise(s, 2 * PAGE, 23));
	r[0] = 1;
	r[PAGE] = 2;
	V(0, madvise(r, PAGE, 10 /* DONTFORK */));
	V(SIGSEGV, dies(reads, r));
	V(0, dies(reads, r + PAGE));
	V(0, madvise(r, PAGE, 11));
	V(0, dies(reads, r));
	V(0, madvise(r, PAGE, 18 /* WIPEONFORK */));
	V(0, ({
		  int status;
		  if (!fork())
			  _exit(r[0] | (r[PAGE] != 2) << 1);
		  wait(&status);
		  status;
	  }));
	V(1, r[0]);
}

static void brk_rows(void)
{
	long b = S(SYS_brk, 0);

	V(PAGE, S(SYS_brk, b + PAGE) - b);
	V(PAGE, S(SYS_brk, 1) - b);
	V(PAGE, S(SYS_brk, -1L) - b);
	V(100, S(SYS_brk, b + 100) - b);
	V(0, S(SYS_brk, b) - b);
	V(0, S(SYS_brk, b) - b);
	V(101, S(SYS_brk, b + 101) - b);
	V(102, S(SYS_brk, b + 102) - b);
	V(0, S(SYS_brk, b) - b);
}

/* Stacks that grow: STACK is the page that is mapped at first. */
#define STACK (FAR + 0x10000000)
#define BELOW(n) (STACK - (n)*PAGE)

static void stack_rows(void)
{
	char *at;

	map_at(STACK, PAGE, MAP_GROWSDOWN);
	V(0, dies(writes, STACK - 1));
	V(0, dies(writes, BELOW(500)));
	V(SIGSEGV, dies(writes, BELOW(4096)));
	V(1, mmap(BELOW(10), PAGE, RW, ANON, -1, 0) != BELOW(10));
	V(1, mmap(BELOW(256), PAGE, RW, ANON, -1, 0) != BELOW(256));
	at = mmap(BELOW(257), PAGE, RW, ANON, -1, 0);
	V(1, at == BELOW(257));
	V(SIGSEGV, dies(writes, BELOW(1)));
	V(0, mprotect(at, PAGE, PROT_NONE));
	V(0, dies(writes, BELOW(200)));
	munmap(at, PAGE);
	V(1, mmap(BELOW(5), PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == BELOW(5));
	V(SIGSEGV, dies(writes, BELOW(1)));
	munmap(BELOW(5), PAGE);
	map_at(BELOW(20), PAGE, MAP_GROWSDOWN);
	V(0, dies(writes, BELOW(19)));
	munmap(BELOW(20), PAGE);
	*BELOW(9) = 1;
	V(0, mprotect(STACK, PAGE, PROT_READ | PROT_DOWN));
	V(SIGSEGV, dies(writes, BELOW(9)));
	V(0, dies(reads, BELOW(9)));
	V(0, munmap(BELOW(9), 10 * PAGE));
}

static void all(void)
{
	mmap_rows();
	munmap_rows();
	mprotect_rows();
	mremap_rows();
	madvise_rows();
	brk_rows();
	stack_rows();
}

int main(void)
{
	return run_rows(all);
}
