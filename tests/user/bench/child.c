/*
 * Other processes: forked by the bare system call, so that libc's own work is not measured. What
 * they share with the program is one shared page; they leave by the bare exit, too.
 */
#include "tests/user/bench/bench.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUTEX_WAIT 0 /* linux/futex.h, which musl's headers do not bring */
#define FUTEX_WAKE 1
#define SETTLE 4 /* yields after which a child that is about to sleep does */

struct shared *shared;
static pid_t child;

void child_init(void)
{
	shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	*shared = (struct shared){0};
}

void futex_wait(uint32_t *word, uint32_t expected)
{
	syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0);
}

void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void signal_word(uint32_t *word)
{
	__atomic_store_n(word, 1, __ATOMIC_RELEASE);
	futex_wake(word);
}

static void await_word(uint32_t *word)
{
	while (!__atomic_load_n(word, __ATOMIC_ACQUIRE))
		futex_wait(word, 0);
}

void fork_child(void)
{
	child = syscall(SYS_fork);
	if (child == 0) {
		shared->forked = rdtsc();
		syscall(SYS_exit_group, 0);
	}
	CHECK(child > 0);
}

uint64_t fork_end(uint64_t start, uint64_t end)
{
	return start < shared->forked && shared->forked < end ? shared->forked : end;
}

void wait_child(void)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void fork_and_wait(void)
{
	fork_child();
	wait_child();
}

void fork_runner(void (*fn)(void))
{
	child = syscall(SYS_fork);
	if (child == 0) {
		fn();
		syscall(SYS_exit_group, 0);
	}
	CHECK(child > 0);
}

static void sleep_until_released(void)
{
	signal_word(&shared->ready);
	await_word(&shared->go);
}

void hold_child(void)
{
	shared->ready = shared->go = 0;
	fork_runner(sleep_until_released);
	await_word(&shared->ready);
	for (unsigned i = 0; i < SETTLE; i++)
		sched_yield();
}

void release_child(void)
{
	signal_word(&shared->go);
	wait_child();
}
