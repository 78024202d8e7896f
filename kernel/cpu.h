/*
 * This CPU's descriptor tables, features and model-specific registers, on native hardware.
 */
#pragma once

#include "kernel/percpu.h"

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_DS 0x1b
#define USER_CS 0x23

/* Slots of the interrupt stack table: exceptions that come on a stack of their own. */
enum ist { IST_NMI = 1, IST_DF, IST_MC, IST_DB, NR_IST = IST_DB };

/* Features that Pteron uses where the CPU has them; set once by cpu_detect(). */
struct cpu_features {
	bool smep, smap, umip, fsgsbase, pcid, x2apic;
	char vendor[13];
};
extern struct cpu_features cpu_features;

/* Boot CPU: read CPUID. @disable names features to leave unused ("smap", ...), separated by commas.
 */
void cpu_detect(const char *disable);
/* For a CPU other than the boot CPU: the stacks of NMI, double fault and machine check. Boot
 * memory. */
void cpu_alloc_stacks(unsigned cpu);
/* Each CPU: descriptor tables, control registers, system call entry. percpu_alloc() came before. */
void cpu_init(unsigned cpu);
/* The kernel stack that the next entry from user mode starts on. */
void cpu_set_sp0(unsigned long sp);
/* Print the features in use. */
void cpu_report(void);

DECLARE_PER_CPU(u64, syscall_user_sp);
