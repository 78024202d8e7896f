/*
 * Descriptor tables and control registers of native hardware.
 * Sources: AMD APM vol. 2, 4.8 (long-mode descriptors), 12.2.5 (TSS), 6.1 (SYSCALL); Intel SDM vol.
 * 3, 4.1.4 (CPUID bits of the paging features).
 */
#include "kernel/cpu.h"

#include "kernel/io.h"
#include "kernel/irqflags.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "kernel/traps.h"
#include "mm/early.h"

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SYSCALL_MASK 0xc0000084
#define MSR_GS_BASE 0xc0000101
#define EFER_SCE BIT(0)
#define EFER_NXE BIT(11)
#define CR4_PGE BIT(7)
#define CR4_UMIP BIT(11)
#define CR4_FSGSBASE BIT(16)
#define CR4_PCIDE BIT(17)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
/* Cleared by SYSCALL: TF, IF, DF, IOPL, NT, AC. */
#define SYSCALL_FLAGS (BIT(8) | BIT(9) | BIT(10) | BIT(12) | BIT(13) | BIT(14) | BIT(18))

#define IST_STACK_SIZE 4096

struct tss {
	u32 reserved0;
	u64 sp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap_base;
} __packed;

/* entry.asm has the offset of sp[0]. */
static_assert(offsetof(struct tss, sp) == 4, "TSS_SP0");
static_assert(offsetof(struct pv_ops, cpu.uaccess_end) == 8 * 6, "PV_CPU_UACCESS_END in entry.asm");

struct cpu_features cpu_features;
DEFINE_PER_CPU(struct tss, cpu_tss);
DEFINE_PER_CPU(u64, syscall_user_sp);
static DEFINE_PER_CPU(u64, cpu_gdt[7]);
static u8 boot_ist_stacks[NR_IST][IST_STACK_SIZE] __aligned(IST_STACK_SIZE);
static u8 (*ist_stacks[MAX_CPUS])[IST_STACK_SIZE] = {boot_ist_stacks};

void syscall_entry(void);

static bool wanted(const char *disable, const char *name)
{
	size_t n = strlen(name);

	for (; *disable; disable++)
		if (!strncmp(disable, name, n) && (disable[n] == ',' || !disable[n]))
			return false;
	return true;
}

void cpu_detect(const char *disable)
{
	struct cpu_features *f = &cpu_features;
	struct cpuid_regs v = cpuid(0, 0), l1 = cpuid(1, 0), l7 = {0};

	memcpy(f->vendor, (u32[]){v.ebx, v.edx, v.ecx}, 12);
	if (v.eax >= 7)
		l7 = cpuid(7, 0);
	f->pcid = (l1.ecx & BIT(17)) && wanted(disable, "pcid");
	f->x2apic = (l1.ecx & BIT(21)) && wanted(disable, "x2apic");
	f->fsgsbase = (l7.ebx & BIT(0)) && wanted(disable, "fsgsbase");
	f->smep = (l7.ebx & BIT(7)) && wanted(disable, "smep");
	f->smap = (l7.ebx & BIT(20)) && wanted(disable, "smap");
	f->umip = (l7.ecx & BIT(2)) && wanted(disable, "umip");
}

void cpu_report(void)
{
	const struct cpu_features *f = &cpu_features;

	pr_info("cpu: %s%s%s%s%s%s%s\n", f->vendor, f->smep ? " smep" : "", f->smap ? " smap" : "",
		f->umip ? " umip" : "", f->fsgsbase ? " fsgsbase" : "", f->pcid ? " pcid" : "",
		f->x2apic ? " x2apic" : "");
}

static void load_gdt(u64 *gdt)
{
	struct {
		u16 limit;
		u64 base;
	} __packed desc = {sizeof(cpu_gdt) - 1, (u64)gdt};

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "mov %2, %%ss"
			 :
			 : "m"(desc), "i"(KERNEL_CS), "r"(KERNEL_DS)
			 : "rax", "memory");
}

static void init_gdt_tss(unsigned cpu)
{
	struct tss *tss = per_cpu_ptr(cpu_tss, cpu);
	u64 *gdt = per_cpu(cpu_gdt, cpu), base = (u64)tss, limit = sizeof(*tss) - 1;

	gdt[1] = 0x00af9a000000ffff; /* kernel code */
	gdt[2] = 0x00cf92000000ffff; /* kernel data */
	gdt[3] = 0x00cff2000000ffff; /* user data: SYSRET wants it below user code */
	gdt[4] = 0x00affa000000ffff; /* user code */
	gdt[5] = limit | (base & 0xffffff) << 16 | 0x89UL << 40 | (base >> 24 & 0xff) << 56;
	gdt[6] = base >> 32;
	tss->iomap_base = sizeof(*tss);
	for (unsigned i = 0; i < NR_IST; i++) {
		u8 *top = ist_stacks[cpu][i] + IST_STACK_SIZE;

		((u64 *)top)[-1] = percpu_offset[cpu]; /* entry.asm's ist_entry */
		tss->ist[i] = (u64)(top - 16);
	}
	load_gdt(gdt);
	__asm__ volatile("ltr %w0" : : "r"(5 * 8));
}

static void init_features(void)
{
	const struct cpu_features *f = &cpu_features;
	u64 cr4 = read_cr4() | CR4_PGE;

	cr4 |= f->smep ? CR4_SMEP : 0;
	cr4 |= f->smap ? CR4_SMAP : 0;
	cr4 |= f->umip ? CR4_UMIP : 0;
	cr4 |= f->fsgsbase ? CR4_FSGSBASE : 0;
	cr4 |= f->pcid ? CR4_PCIDE : 0;
	write_cr4(cr4);
}

static void init_syscall(void)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	wrmsr(MSR_STAR, (u64)KERNEL_DS << 48 | (u64)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (u64)syscall_entry);
	wrmsr(MSR_SYSCALL_MASK, SYSCALL_FLAGS);
}

void cpu_set_sp0(unsigned long sp)
{
	this_cpu_write(cpu_tss.sp[0], sp);
}

void cpu_alloc_stacks(unsigned cpu)
{
	ist_stacks[cpu] = early_alloc(NR_IST * IST_STACK_SIZE, IST_STACK_SIZE);
}

void cpu_init(unsigned cpu)
{
	wrmsr(MSR_GS_BASE, percpu_offset[cpu]);
	this_cpu_write(this_cpu_offset, percpu_offset[cpu]);
	this_cpu_write(cpu_number, cpu);
	init_gdt_tss(cpu);
	idt_load();
	init_features();
	init_syscall();
}
