/* The task that runs on this CPU, and the little that reports say of it. */
#pragma once

#include "kernel/arch/percpu.h"

#define TASK_NAME_LEN 24

struct task;

/* How every struct task begins: who only reports need not know what else a task is. */
struct task_head {
	unsigned long sp; /* kernel stack pointer while not running; switch.asm: offset 0 */
	int tid;
	char name[TASK_NAME_LEN];
};

DECLARE_PER_CPU(struct task *, current_task);
/* For a task, `current` never changes: the compiler may keep it across calls. */
static inline struct task *get_current(void)
{
	struct task *t;

	__asm__("mov %%gs:%1, %0" : "=r"(t) : "m"(current_task));
	return t;
}
#define current get_current()

static inline const struct task_head *current_head(void)
{
	return (const struct task_head *)current;
}
