/*
 * This CPU's descriptor tables, features and model-specific registers, on native hardware.
 */
#pragma once

#include "kernel/arch/percpu.h"

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_DS 0x1b
#define USER_CS 0x23
#define TSS_SELECTOR 0x28

#define MSR_ARCH_CAPABILITIES 0x10a
#define MSR_SYSENTER_CS 0x174
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_SCE BIT(0)
#define EFER_NXE BIT(11)
#define CR4_PGE BIT(7)
#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_OSXSAVE BIT(18)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define DR7_NONE 0x400

#define IST_STACK_SIZE 4096

struct tss {
	u32 reserved0;
	u64 sp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __packed;

/* Slots of the interrupt stack table: exceptions that come on a stack of their own. */
enum ist { IST_NMI = 1, IST_DF, IST_MC, IST_DB, NR_IST = IST_DB };

/* Features that Pteron uses where the CPU has them; set once by cpu_detect(). */
struct cpu_features {
	bool smep, smap, umip, fsgsbase, pcid, x2apic;
	bool swapgs_fence; /* a guess about swapgs may go wrong: entries end speculation */
	bool fxsave_leak;  /* FXSAVE and FXRSTOR leave out the x87 instruction and data pointers */
	char vendor[13];
};
extern struct cpu_features cpu_features;

/*
 * Boot CPU: read CPUID. @disable names features to leave unused ("smap", ...), separated by commas.
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
DECLARE_PER_CPU(struct tss, cpu_tss);

void syscall_entry(void); /* entry.asm */

/* RFLAGS of the CPU, on Xen, too, where interrupts are masked elsewhere. */
static inline unsigned long cpu_read_flags(void)
{
	unsigned long flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
	return flags;
}

#ifdef CONFIG_DEBUG
/* Outside of user copies: DF, NT, IOPL and AC are clear. */
void assert_kernel_flags(void);
#else
static inline void assert_kernel_flags(void) {}
#endif
