/*
 * oom: processes that hold some memory, beside such as take all of it.
 *
 * Holders have more pages each than the one before, and look at them all the time. Beside them
 * comes a hog, then two at once, which write as many pages as they are told; then a fork bomb,
 * which ends when fork is refused or as many processes are there as it was told. Oracle: a hog ends
 * by itself or by SIGKILL; nobody else is killed; each holder finds all its stamps, and goes on
 * after the hogs and beside the bomb.
 */
#include "tests/user/lib/user.h"

#define HOLDERS 4
#define HOLDER_PAGES 64U
#define BOMB_PAGES 4U
#define SIGKILL 9
#define EXITED_WELL(status) ((status) == 0)

static struct control {
	u32 stop, go, defused;
	u32 turns[HOLDERS];
	u32 bombs, refused;
} * control;
static int parent; /* of holders and hogs */

static void stamp_pages(unsigned long start, unsigned pages)
{
	for (unsigned i = 0; i < pages; i++)
		stamp_write(start + i * PAGE_SIZE, start + i * PAGE_SIZE, i + 1);
}

/* What waits for main() would wait for ever when that has failed. */
static bool is_orphan(void)
{
	return syscall3(SYS_getppid, 0, 0, 0) != parent;
}

static void __noreturn hold(unsigned index)
{
	unsigned pages = HOLDER_PAGES * (index + 1);
	unsigned long m = must_map(pages * PAGE_SIZE, MAP_PRIVATE);

	stamp_pages(m, pages);
	for (u32 turn = 0; !READ_ONCE(control->stop) && !is_orphan(); turn++) {
		unsigned i = turn % pages;

		stamp_check(m + i * PAGE_SIZE, m + i * PAGE_SIZE, i + 1, 0, 0);
		WRITE_ONCE(control->turns[index], turn + 1);
		sys_yield();
	}
	sys_exit_group(0);
}

static void __noreturn take_all(void)
{
	while (!READ_ONCE(control->go) && !is_orphan())
		sys_yield();
	for (unsigned i = 0; i < work.pages; i++)
		*(volatile u64 *)must_map(PAGE_SIZE, MAP_PRIVATE) = i;
	sys_exit_group(0);
}

static int must_fork(void)
{
	int pid = sys_fork();

	CHECK(pid >= 0, "fork: %d", pid);
	return pid;
}

static void run_hogs(unsigned n)
{
	int pid[2];

	control->go = 0;
	for (unsigned i = 0; i < n; i++) {
		pid[i] = must_fork();
		if (!pid[i])
			take_all();
	}
	WRITE_ONCE(control->go, 1);
	for (unsigned i = 0; i < n; i++) {
		int status = wait_for(pid[i]);

		CHECK(EXITED_WELL(status) || status == SIGKILL, "hog %u: status %#x", i, status);
	}
}

/*
 * A process of the bomb: it forks, and writes, until there are enough; then it waits for its own.
 */
static void __noreturn explode(void)
{
	while (!READ_ONCE(control->defused) &&
	       __atomic_add_fetch(&control->bombs, 1, __ATOMIC_SEQ_CST) <= work.rounds) {
		int pid = sys_fork();

		if (pid < 0) {
			CHECK(pid == -EAGAIN || pid == -ENOMEM, "fork: %d", pid);
			__atomic_add_fetch(&control->refused, 1, __ATOMIC_SEQ_CST);
			break;
		}
		if (!pid)
			stamp_pages(must_map(BOMB_PAGES * PAGE_SIZE, MAP_PRIVATE), BOMB_PAGES);
	}
	while (!READ_ONCE(control->defused))
		futex_wait(&control->defused, 0);
	for (long pid, status; (pid = syscall3(SYS_wait4, -1, &status, 0)) != -ECHILD;)
		CHECK(pid > 0 && EXITED_WELL((int)status), "bomb %ld: status %#lx", pid, status);
	sys_exit_group(0);
}

static void await_turns(const int *holder)
{
	u32 before[HOLDERS];

	for (unsigned i = 0; i < HOLDERS; i++)
		before[i] = READ_ONCE(control->turns[i]);
	for (unsigned i = 0; i < HOLDERS; i++)
		while (READ_ONCE(control->turns[i]) - before[i] < 2) {
			int status = 0;
			long pid = syscall6(SYS_wait4, holder[i], (long)&status, 1, 0, 0, 0);

			CHECK(!pid, "holder %u has ended: status %#x", i, status);
			sys_yield();
		}
}

static void run_bomb(const int *holder)
{
	int pid = must_fork();

	if (!pid)
		explode();
	while (READ_ONCE(control->bombs) <= work.rounds && !READ_ONCE(control->refused))
		sys_yield();
	await_turns(holder);
	WRITE_ONCE(control->defused, 1);
	futex_wake(&control->defused, 1U << 30);
	CHECK(EXITED_WELL(wait_for(pid)), "the bomb was killed");
	say("oom: %u processes of a bomb, %u refused\n", control->bombs, control->refused);
}

void program_main(void)
{
	int holder[HOLDERS];

	parent = sys_getpid();
	control = (struct control *)must_map(PAGE_SIZE, MAP_SHARED);
	for (unsigned i = 0; i < HOLDERS; i++) {
		holder[i] = must_fork();
		if (!holder[i])
			hold(i);
	}
	await_turns(holder);
	for (unsigned hogs = 1; hogs <= 2; hogs++) {
		run_hogs(hogs);
		await_turns(holder);
	}
	run_bomb(holder);
	WRITE_ONCE(control->stop, 1);
	for (unsigned i = 0; i < HOLDERS; i++)
		CHECK(EXITED_WELL(wait_for(holder[i])), "holder %u", i);
}
