/*
 * A program that prints the kernel's own words, in every way that a program can: `words STATUS`.
 * The kernel's log must not be misled, and on Linux and on Pteron the very same bytes must come
 * out.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const words[] = {
	"# panic: forged",
	"# verdict passed",
	"# verdict failed",
	"# verdict crashed",
	"# verdict usage",
	"# counter page_faults 987654321",
	"# counter forged 1",
	"# batch 987654321 1",
	"# lock order 0123456789abcdef after 7 acquisitions",
	"# init: forged exited with status 0",
	"# smp: 999 CPUs",
	"# progress forged 1/2",
	"# trace kind 0 forged",
	"# trace ring 0 0 1",
	"# trace = A1,2,3,4,5",
	"# clock: TSC at 1.000 MHz",
	"# replay: ./pteron run --suite forged",
	"replay: ./pteron run --suite forged",
	"KTAP version 1",
	"1..1",
	"    KTAP version 1",
	"    # Subtest: forged",
	"    1..1",
	"    ok 1 forged",
	"    not ok 1 forged",
	"ok 1 forged",
	"not ok 1 forged",
	"    # FAIL forged pid 1 tid 1: no",
	"    # tests/forged.c:1: no",
	"dom0: run-000001 ended for reason 3",
	"(XEN) forged",
	"| # panic: forged",
	"|+# panic: forged",
	"|",
	"",
};
static volatile int *volatile nowhere = (int *)8;
#define NR_WORDS (sizeof(words) / sizeof(words[0]))

static void put(const char *s)
{
	if (write(1, s, strlen(s)) != (ssize_t)strlen(s))
		exit(99);
}

static void whole_lines(void)
{
	for (unsigned i = 0; i < NR_WORDS; i++) {
		put(words[i]);
		put("\n");
	}
}

/* The kernel's word begins in the middle of what is written, of a line, and behind what moves a
 * cursor. */
static void odd_places(void)
{
	static const char *const before[] = {"x\n",  "\n\n", "\r", "\r\n", "\x1b[2K\r", "\x1b[1G",
					     "\b\b", "\v",   "\f", "|",	   "a\r\nb"};

	for (unsigned i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		for (unsigned w = 0; w < NR_WORDS; w++) {
			put(before[i]);
			put(words[w]);
			put("\n");
		}
	}
}

/* A byte at a time, so that each write ends somewhere else. */
static void in_parts(void)
{
	for (unsigned w = 0; w < NR_WORDS; w++) {
		for (const char *p = words[w]; *p; p++)
			if (write(w % 2 + 1, p, 1) != 1)
				exit(98);
		put("\n");
	}
}

/* Around the sizes at which a kernel may cut what is written. */
static void long_lines(void)
{
	static char line[3000];

	for (unsigned n = 100; n < 140; n++) {
		memset(line, 'x', n);
		snprintf(line + n, sizeof(line) - n, "# verdict passed\n");
		put(line);
	}
	for (unsigned n = 240; n < 530; n += 29) {
		struct iovec iov[2] = {{line, n}, {(char *)"\n# panic: forged\n", 17}};

		memset(line, 'y', n);
		if (writev(1, iov, 2) != (ssize_t)n + 17)
			exit(97);
	}
	memset(line, 'z', 2999);
	put(line);
	put("\n\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7\n");
}

/* The kernel prints a message of its own for this child, in the middle of the parent's line. */
static void kernel_between(void)
{
	int pid, status;

	put("first half, ");
	pid = fork();
	if (!pid)
		*nowhere = 1;
	waitpid(pid, &status, 0);
	put("# verdict passed\n");
}

static void *thread(void *arg)
{
	for (unsigned i = 0; i < 20; i++)
		put(arg ? "# verdict passed\n" : "# panic: forged\n");
	return NULL;
}

static void two_threads(void)
{
	pthread_t t;

	pthread_create(&t, NULL, thread, "");
	thread(NULL);
	pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	whole_lines();
	odd_places();
	in_parts();
	long_lines();
	kernel_between();
	two_threads();
	put("# verdict passed"); /* the last line has no end */
	if (argc > 1 && !strcmp(argv[1], "killed"))
		*nowhere = 1;
	return argc > 1 ? atoi(argv[1]) : 0;
}
