/*
 * Per-CPU variables: `DEFINE_PER_CPU(type, name)` beside the code that owns them.
 *
 * They lie in the section .percpu, which is zero in the image and is CPU 0's copy; every other CPU
 * gets a zeroed copy of its own. GS base holds (copy - section), so `%gs:name(%rip)` is one
 * instruction and needs no register. A value read from this_cpu_read() is stale as soon as the task
 * may migrate: callers that go on using it have preemption disabled.
 */
#pragma once

#include "kernel/lib/cpumask.h"

struct task;

#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define DEFINE_PER_CPU(type, name) __section(".percpu") __used __typeof__(type) name

extern u64 percpu_offset[MAX_CPUS];
DECLARE_PER_CPU(u64, this_cpu_offset);
DECLARE_PER_CPU(u32, cpu_number);

#define this_cpu_read(var)                                                                         \
	({                                                                                         \
		__typeof__(var) __pv;                                                              \
		__asm__ volatile("mov %%gs:%1, %0" : "=r"(__pv) : "m"(var));                       \
		__pv;                                                                              \
	})
#define this_cpu_write(var, val)                                                                   \
	do {                                                                                       \
		__typeof__(var) __pv = (val);                                                      \
		__asm__ volatile("mov %1, %%gs:%0" : "=m"(var) : "r"(__pv) : "memory");            \
	} while (0)
#define this_cpu_inc64(var) __asm__ volatile("incq %%gs:%0" : "+m"(var) : : "cc")
#define this_cpu_add64(var, n)                                                                     \
	__asm__ volatile("addq %1, %%gs:%0" : "+m"(var) : "er"((u64)(n)) : "cc")

#define per_cpu_ptr(var, cpu) ((__typeof__(&(var)))((char *)&(var) + percpu_offset[cpu]))
#define per_cpu(var, cpu) (*per_cpu_ptr(var, cpu))
/* Preemption must be disabled while the pointer is in use. */
#define this_cpu_ptr(var) ((__typeof__(&(var)))((char *)&(var) + this_cpu_read(this_cpu_offset)))

/* The number of this CPU; @cpu 0 is the one that booted. */
static inline u32 smp_processor_id(void)
{
	return this_cpu_read(cpu_number);
}

/*
 * First of all on the boot CPU, whose copy is the section in the image: @boot_task is its current
 * task, preemption is off, and it is online.
 */
void percpu_init_boot_cpu(struct task *boot_task);
/*
 * Boot memory for the copy of @cpu, which is another than the boot CPU and not started yet; panics
 * when there is none. The copy is cleared but for its preemption count.
 */
void percpu_alloc(unsigned cpu);
