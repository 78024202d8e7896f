/*
 * Where each CPU's copy of the per-CPU variables lies. The boot CPU uses the section in the image.
 */
#include "kernel/arch/percpu.h"

#include "kernel/arch/current.h"
#include "kernel/arch/io.h"
#include "kernel/arch/preempt.h"
#include "kernel/debug/panic.h"
#include "kernel/lib/string.h"
#include "mm/frame/early.h"

#define MSR_GS_BASE 0xc0000101

extern char __percpu_start[], __percpu_end[];

u64 percpu_offset[MAX_CPUS];
DEFINE_PER_CPU(u64, this_cpu_offset);
DEFINE_PER_CPU(u32, cpu_number);

void percpu_init_boot_cpu(struct task *boot_task)
{
	wrmsr(MSR_GS_BASE, 0);
	this_cpu_write(preempt_word, PREEMPT_NO_RESCHED | 1);
	this_cpu_write(current_task, boot_task);
	cpumask_set(&cpu_online_mask, 0);
}

void percpu_alloc(unsigned cpu)
{
	size_t size = __percpu_end - __percpu_start;
	char *copy = early_alloc(size, 64);

	percpu_offset[cpu] = copy - __percpu_start;
	per_cpu(preempt_word, cpu) = PREEMPT_NO_RESCHED | 1;
}
