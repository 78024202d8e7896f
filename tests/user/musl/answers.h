/*
 * Tables of calls and what Linux answers to them. Each row makes a call and prints it with its
 * result; the expected one stands in the row, so that neither kernel is the reference of the other.
 * tests/system/test_answers.py runs each program on Pteron and on Linux, and compares every line.
 *
 * Whoever adds a system call, or an argument, adds its rows. What depends on the machine, or on how
 * a Linux was configured, is no row.
 */
#pragma once

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define POSITIVE 0x706f73697469766dL /* as an expectation: any value above 0 */
#define DIRT 0xdead0000UL << 32	     /* above the 32 bits of an int: does not count */
#define PAGE 4096UL
#define BAD_POINTER ((void *)8)

static int wrong, rows;

static void show(char *text, size_t size, long value, int error)
{
	if (error)
		snprintf(text, size, "-1 %s", strerror(error));
	else if (value == POSITIVE)
		snprintf(text, size, "> 0");
	else
		snprintf(text, size, "%ld", value);
}

static void row(int line, const char *call, long expected, int expected_error, long found)
{
	int error = found == -1 ? errno : 0;
	char text[64], want[64];

	if (expected == POSITIVE && found > 0)
		found = POSITIVE;
	show(text, sizeof(text), found, error);
	show(want, sizeof(want), expected, expected_error);
	rows++;
	if (!strcmp(text, want)) {
		printf("%s: %s\n", call, text);
	} else {
		wrong++;
		printf("FAIL line %d: %s: %s, expected %s\n", line, call, text, want);
	}
	fflush(stdout);
}

/* The call returns @value, answers with errno @error, or returns something above 0. */
#define V(value, call)                                                                             \
	row(__LINE__, #call, value, 0, ({                                                          \
		    errno = 0;                                                                     \
		    (long)(call);                                                                  \
	    }))
#define E(error, call)                                                                             \
	row(__LINE__, #call, -1, error, ({                                                         \
		    errno = 0;                                                                     \
		    (long)(call);                                                                  \
	    }))
#define P(call) V(POSITIVE, call)
#define S syscall

/* Rows that an older Linux answers otherwise: it does not print them. */
__attribute__((unused)) static bool since(int major, int minor)
{
	struct utsname name;
	int a = 0, b = 0;

	uname(&name);
	sscanf(name.release, "%d.%d", &a, &b);
	return a > major || (a == major && b >= minor);
}

/* The signal by which a child ends that calls @f(@arg), or 0. */
__attribute__((unused)) static int dies(void (*f)(void *), void *arg)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		f(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) << 8;
}

/* As the first process of a Linux this one has rights of its own; so a child makes the calls. */
static int run_rows(void (*all)(void))
{
	int status = 1;
	pid_t pid = fork();

	if (!pid) {
		all();
		printf("%d rows, %d wrong\n", rows, wrong);
		fflush(stdout);
		_exit(wrong != 0);
	}
	waitpid(pid, &status, 0);
	tcdrain(STDOUT_FILENO); /* a Linux whose first process ends panics, and sends no more */
	return status != 0;
}
