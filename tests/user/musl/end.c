/*
 * end: the ways in which a program ends. Oracle: the status that its parent sees.
 *   end exit N | abort | raise N | blocked N | segv | assert | thread N | asleep N
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number;
static volatile int *nowhere;

static void *exit_in_thread(void *unused)
{
	(void)unused;
	exit(number);
}

static void *sleep_long(void *unused)
{
	sleep(1000000);
	return unused;
}

/* The process ends although threads of it sleep. */
static void end_while_asleep(void)
{
	pthread_t t;

	for (int i = 0; i < 5; i++)
		pthread_create(&t, NULL, sleep_long, NULL);
	usleep(20000);
	exit(number);
}

static void end_by_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exit_in_thread, NULL);
	pthread_join(t, NULL);
}

/* A signal waits while it is blocked, and ends the program as soon as it is not. */
static void end_by_blocked(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(number);
	puts("still alive");
	fflush(stdout);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	number = argc > 2 ? atoi(argv[2]) : 0;
	if (!strcmp(how, "exit"))
		return number;
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "raise"))
		raise(number);
	if (!strcmp(how, "blocked"))
		end_by_blocked();
	if (!strcmp(how, "segv"))
		*nowhere = 0;
	if (!strcmp(how, "assert"))
		assert(!"this holds");
	if (!strcmp(how, "thread"))
		end_by_thread();
	if (!strcmp(how, "asleep"))
		end_while_asleep();
	return 99;
}
