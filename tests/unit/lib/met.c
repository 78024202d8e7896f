/*
 * The process that is met; see met.h.
 */
#include "tests/unit/lib/met.h"

#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/debug/panic.h"
#include "kernel/entry/uaccess.h"
#include "kernel/process/process.h"
#include "kernel/sched/timeout.h"
#include "mm/frame/page.h"
#include "mm/space/mmap.h"

struct met_process met;

bool met_begin(struct ktest *t)
{
	met.free = 0;
	if (cpumask_weight(&cpu_online_mask) >= 3)
		return true;
	ktest_skip(t, "a new thread needs a CPU of its own");
	return false;
}

void met_prepare(void)
{
	met.users = user_task_count();
}

struct task *met_new(void (*fn)(void *arg))
{
	struct task *t = user_process_create("process", fn, NULL, NULL);

	BUG_ON(!t);
	met.pid = t->tid;
	return t;
}

void met_map_code(unsigned long page, unsigned long where, const void *code, size_t len)
{
	BUG_ON(do_mmap(page, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0) != (long)page);
	BUG_ON(copy_to_user(where, code, len));
}

long met_clone(unsigned long ip, const cpumask_t *there, unsigned long flags)
{
	const cpumask_t here = current->cpus_allowed;
	struct pt_regs regs = {.ip = ip, .cs = USER_CS, .ss = USER_DS, .flags = FLAGS_IF};
	long ret;

	current->cpus_allowed = *there;
	ret = do_clone(&regs, &(struct clone_args){.flags = flags});
	current->cpus_allowed = here;
	return ret;
}

void met_sleep_until_killed(void *unused __unused)
{
	sleep_until(FOREVER);
	do_exit_thread(0);
}

void met_expect_nothing_left(struct ktest *t)
{
	s64 free = page_kind_count(PAGE_FREE);

	KEXPECT_EQ(t, user_task_count(), met.users);
	if (!met.free)
		met.free = free;
	KEXPECT_EQ(t, free, met.free);
}
