/*
 * forks: processes. Oracle: each child's exit status is what it was told, its memory is its own,
 * what is shared is shared, and a child that dies of a signal is reported so.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 12

static _Atomic unsigned *shared;
static unsigned private = 5;

static void expect(int ok, const char *what)
{
	if (ok)
		return;
	printf("FAIL forks: %s\n", what);
	exit(1);
}

static void *add_in_thread(void *unused)
{
	atomic_fetch_add(shared, 1);
	return unused;
}

/* A child that starts a thread of its own. */
static void child(int number)
{
	pthread_t t;

	private += number;
	expect(pthread_create(&t, NULL, add_in_thread, NULL) == 0, "pthread_create in a child");
	expect(pthread_join(t, NULL) == 0, "pthread_join in a child");
	if (number % 4 == 3)
		abort();
	_exit(private);
}

static void check_status(int number, int status)
{
	if (number % 4 == 3)
		expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "abort in a child");
	else
		expect(WIFEXITED(status) && WEXITSTATUS(status) == 5 + number, "exit status");
}

int main(void)
{
	pid_t pids[CHILDREN];
	int status;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	expect(shared != MAP_FAILED, "mmap");
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		expect(pids[i] >= 0, "fork");
		if (!pids[i])
			child(i);
	}
	for (int i = CHILDREN - 1; i >= 0; i--) {
		expect(waitpid(pids[i], &status, 0) == pids[i], "waitpid");
		check_status(i, status);
	}
	expect(wait(&status) == -1, "wait without children");
	expect(private == 5 && *shared == CHILDREN, "whose memory is whose");
	printf("forks: %d children\n", CHILDREN);
	return 0;
}
