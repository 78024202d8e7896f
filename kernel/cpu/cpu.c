/*
 * Descriptor tables and control registers of native hardware.
 * Sources: AMD APM vol. 2, 4.8 (long-mode descriptors), 12.2.5 (TSS), 6.1 (SYSCALL); Intel SDM vol.
 * 3, 4.1.4 (CPUID bits of the paging features).
 */
#include "kernel/cpu/cpu.h"

#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "mm/frame/early.h"

/* Cleared by SYSCALL: all that a program can set. */
#define SYSCALL_FLAGS                                                                              \
	(FLAGS_STATUS | FLAGS_TF | FLAGS_IF | FLAGS_DF | FLAGS_IOPL | FLAGS_NT | FLAGS_RF |        \
	 FLAGS_AC | FLAGS_ID)
#define ARCH_CAP_RDCL_NO BIT(0)

struct cpu_features cpu_features;
DEFINE_PER_CPU(struct tss, cpu_tss);
DEFINE_PER_CPU(u64, syscall_user_sp);
static DEFINE_PER_CPU(u64, cpu_gdt[7]);
static u8 boot_ist_stacks[NR_IST][IST_STACK_SIZE] __aligned(IST_STACK_SIZE);
static u8 (*ist_stacks[MAX_CPUS])[IST_STACK_SIZE] = {boot_ist_stacks};

static bool wanted(const char *disable, const char *name)
{
	size_t n = strlen(name);

	for (; *disable; disable++)
		if (!strncmp(disable, name, n) && (disable[n] == ',' || !disable[n]))
			return false;
	return true;
}

static bool is_amd(const char *vendor)
{
	return !strcmp(vendor, "AuthenticAMD") || !strcmp(vendor, "HygonGenuine");
}

/* The CPU says, or its maker does, that faulting loads give nothing away (Meltdown). */
static bool is_meltdown_safe(const char *vendor, const struct cpuid_regs *l7)
{
	return is_amd(vendor) ||
	       ((l7->edx & BIT(29)) && (rdmsr(MSR_ARCH_CAPABILITIES) & ARCH_CAP_RDCL_NO));
}

/*
 * Spectre v1 and swapgs (CVE-2019-1125): a wrong guess about where an exception comes from runs the
 * kernel with the user's GS base. That is harmless where the base can be no kernel address, and
 * SMAP keeps the guess from reading user memory. Linux decides by the same facts (its
 * spectre_v1_select_mitigation()).
 */
static bool needs_swapgs_fence(const struct cpu_features *f, const struct cpuid_regs *l7)
{
	return f->fsgsbase || !f->smap || !is_meltdown_safe(f->vendor, l7);
}

/* AMD APM vol. 2, 11.4.4; CPUID 8000_0008 EBX[2] tells newer ones (CVE-2006-1056). */
static bool has_fxsave_leak(const char *vendor)
{
	return is_amd(vendor) &&
	       (cpuid(0x80000000, 0).eax < 0x80000008 || !(cpuid(0x80000008, 0).ebx & BIT(2)));
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
	f->swapgs_fence = wanted(disable, "swapgs_fence") && needs_swapgs_fence(f, &l7);
	f->fxsave_leak = has_fxsave_leak(f->vendor);
}

void cpu_report(void)
{
	const struct cpu_features *f = &cpu_features;

	pr_info("cpu: %s%s%s%s%s%s%s%s\n", f->vendor, f->smep ? " smep" : "",
		f->smap ? " smap" : "", f->umip ? " umip" : "", f->fsgsbase ? " fsgsbase" : "",
		f->pcid ? " pcid" : "", f->x2apic ? " x2apic" : "",
		f->swapgs_fence ? " swapgs_fence" : "");
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
	__asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
	/* After a reset there is one at address 0, which is user memory. */
	__asm__ volatile("lldt %w0" : : "r"(0));
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
	/* What a loader may have left on: no breakpoints, and no SYSENTER. */
	write_dr7(DR7_NONE);
	wrmsr(MSR_SYSENTER_CS, 0);
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
	init_features();
	init_syscall();
}

#ifdef CONFIG_DEBUG
void assert_kernel_flags(void)
{
	unsigned long flags = cpu_read_flags();

	__asm__ volatile("cld" ::: "cc"); /* the report's own copies must go upwards */
	ASSERT(!(flags & FLAGS_DF));
	ASSERT(!(flags & (FLAGS_NT | FLAGS_IOPL | FLAGS_VM)));
	/* Without SMAP nobody clears it at an exception, and in ring 0 it means nothing. */
	ASSERT(!(flags & FLAGS_AC) || !cpu_features.smap);
}
#endif
