/*
 * Suite `cpu`: what each CPU has in its control registers and descriptor tables, not only the
 * first.
 *
 * The case runs on every CPU in turn and reads back what the CPU itself says. Oracle: the values
 * are written out here, from the manuals, whatever kernel/cpu/cpu.c believes (AMD APM vol.
 * 2, 3.1, 4.8, 6.1, 8.2, 12.2). A Xen PV guest's registers are Xen's: there what can be read is
 * compared, and that exceptions and events arrive on each vCPU.
 */
#include "kernel/cpu/cpu.h"

#include "kernel/arch/io.h"
#include "kernel/arch/irqflags.h"
#include "kernel/arch/preempt.h"
#include "kernel/cpu/interrupt.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/string.h"
#include "kernel/process/process.h"
#include "kernel/sched/sched.h"
#include "pv/native/native.h"
#include "tests/ktest.h"

#define CR0_PG_AM_WP_NE_ET_MP_PE 0x80050033
#define CR0_EM_TS 0xc
#define CR4_PAE_PGE_OSFXSR_OSXMMEXCPT 0x6a0
#define CR4_PAE BIT(5)
#define CR4_OSFXSR BIT(9)
#define EFER_SCE_LME_LMA_NXE 0xd01
#define SYSCALL_MASK 0x257fd5 /* CF PF AF ZF SF TF IF DF OF IOPL NT RF AC ID */
#define STAR (0x10UL << 48 | 0x08UL << 32)
#define CPUID_OSXSAVE BIT(27)
#define XCR0_X87_SSE 3
#define DESC_ACCESSED BIT(40)

struct table_register {
	u16 limit;
	u64 base;
} __packed;

struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

/* Every CPU, with the case on it. */
static void on_each_cpu(struct ktest *t, void (*check)(struct ktest *t, unsigned cpu))
{
	const cpumask_t everywhere = cpu_online_mask;

	for_each_online_cpu(cpu) {
		const cpumask_t here = cpumask_of(cpu);
		unsigned failures = t->failures;

		KEXPECT_EQ(t, sched_setaffinity(current, &here), 0);
		KEXPECT_EQ(t, smp_processor_id(), cpu);
		check(t, cpu);
		if (t->failures != failures)
			ktest_fail(t, __FILE__, __LINE__, "this was CPU %u", cpu);
	}
	KEXPECT_EQ(t, sched_setaffinity(current, &everywhere), 0);
}

static bool on_xen(void)
{
	return pv_ops.irq.save_fl != native_save_fl;
}

/* AVX is no program's: no instruction of it is valid, or no state of it is enabled. */
static void check_avx(struct ktest *t)
{
	u32 eax = XCR0_X87_SSE, edx;

	if (cpuid(1, 0).ecx & CPUID_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	KEXPECT_EQ(t, eax & ~XCR0_X87_SSE, 0);
}

static u64 expected_cr4(void)
{
	const struct cpu_features *f = &cpu_features;

	return CR4_PAE_PGE_OSFXSR_OSXMMEXCPT | (f->umip ? 1UL << 11 : 0) |
	       (f->fsgsbase ? 1UL << 16 : 0) | (f->pcid ? 1UL << 17 : 0) |
	       (f->smep ? 1UL << 20 : 0) | (f->smap ? 1UL << 21 : 0);
}

static void check_registers(struct ktest *t, unsigned cpu)
{
	check_avx(t);
	if (on_xen()) {
		KEXPECT_EQ(t, read_cr0() & CR0_EM_TS, 0);
		KEXPECT_EQ(t, read_cr4() & (CR4_FSGSBASE | CR4_OSXSAVE), 0);
		KEXPECT_EQ(t, rdmsr(MSR_EFER) & EFER_SCE_LME_LMA_NXE, EFER_SCE_LME_LMA_NXE);
		return;
	}
	KEXPECT_EQ(t, read_cr0(), CR0_PG_AM_WP_NE_ET_MP_PE);
	KEXPECT_EQ(t, read_cr4(), expected_cr4());
	KEXPECT_EQ(t, read_dr7(), 0x400);
	KEXPECT_EQ(t, rdmsr(MSR_EFER), EFER_SCE_LME_LMA_NXE);
	KEXPECT_EQ(t, rdmsr(MSR_STAR), STAR);
	KEXPECT_EQ(t, rdmsr(MSR_LSTAR), (u64)syscall_entry);
	KEXPECT_EQ(t, rdmsr(MSR_SYSCALL_MASK), SYSCALL_MASK);
	KEXPECT_EQ(t, rdmsr(MSR_SYSENTER_CS), 0);
	KEXPECT_EQ(t, rdmsr(MSR_GS_BASE), percpu_offset[cpu]);
}

static void registers(struct ktest *t)
{
	on_each_cpu(t, check_registers);
}

/*
 * Selector 4 is the first of an LDT: with none, the CPU finds nothing, whatever lies at address 0.
 */
static bool has_ldt(void)
{
	bool found;

	__asm__ volatile("lar %1, %%eax" : "=@ccz"(found) : "r"(4) : "eax");
	return found;
}

static void check_gdt(struct ktest *t, unsigned cpu)
{
	static const u64 expected[] = {0, 0x00af9a000000ffff, 0x00cf92000000ffff,
				       0x00cff2000000ffff, 0x00affa000000ffff};
	static u64 base_of[MAX_CPUS];
	struct table_register gdt;
	u16 tr, ldt;

	__asm__ volatile("sgdt %0" : "=m"(gdt));
	__asm__ volatile("str %0" : "=r"(tr));
	__asm__ volatile("sldt %0" : "=r"(ldt));
	KEXPECT_EQ(t, gdt.limit, 7 * 8 - 1);
	for (unsigned i = 0; i < ARRAY_SIZE(expected); i++)
		KEXPECT_EQ(t, ((u64 *)gdt.base)[i] & ~DESC_ACCESSED, expected[i]);
	KEXPECT_EQ(t, tr, 5 * 8);
	KEXPECT_EQ(t, ldt, 0);
	KEXPECT(t, !has_ldt());
	base_of[cpu] = gdt.base;
	for (unsigned other = 0; other < cpu; other++)
		KEXPECT(t, base_of[other] != gdt.base);
}

/* The stack of the next entry, those of the IST with GS base on top, and no port for ring 3. */
static void check_tss(struct ktest *t, unsigned cpu)
{
	const struct tss *tss = this_cpu_ptr(cpu_tss);

	KEXPECT_EQ(t, tss->sp[0], current->stack + KSTACK_SIZE);
	KEXPECT(t, tss->iomap_base >= sizeof(*tss));
	for (unsigned i = 0; i < NR_IST; i++) {
		const u64 *top = (const u64 *)(tss->ist[i] | (IST_STACK_SIZE - 1));

		KEXPECT_EQ(t, *(const u64 *)((u64)top - 7), percpu_offset[cpu]);
		for (unsigned k = 0; k < i; k++)
			KEXPECT(t, tss->ist[k] != tss->ist[i]);
	}
}

/* All are interrupt gates; of them ring 3 may use the breakpoint's, and four have stacks of their
 * own. */
static void check_idt(struct ktest *t, unsigned cpu __unused)
{
	static const u8 ist[32] = {[1] = 4, [2] = 1, [8] = 2, [18] = 3};
	struct table_register idt;
	const struct gate *gate;

	__asm__ volatile("sidt %0" : "=m"(idt));
	KEXPECT_EQ(t, idt.limit, 256 * 16 - 1);
	gate = (const struct gate *)idt.base;
	for (unsigned v = 0; v < 256; v++) {
		KEXPECT_EQ(t, gate[v].type, v == TRAP_BP ? 0xee : 0x8e);
		KEXPECT_EQ(t, gate[v].ist, v < ARRAY_SIZE(ist) ? ist[v] : 0);
		KEXPECT_EQ(t, gate[v].selector, 0x08);
	}
}

static void check_tables(struct ktest *t, unsigned cpu)
{
	check_gdt(t, cpu);
	check_tss(t, cpu);
	check_idt(t, cpu);
}

static void tables(struct ktest *t)
{
	if (on_xen())
		ktest_skip(t, "the descriptor tables are Xen's");
	else
		on_each_cpu(t, check_tables);
}

static void answer(void *arg)
{
	cpumask_set(arg, smp_processor_id());
}

/* A load from no address: a general protection, which its entry in the exception table catches. */
static bool exception_arrives(void)
{
	u64 v = 1;

	__asm__ volatile("1: movq (%1), %0\n"
			 "2:\n"
			 ".pushsection .ex_table, \"a\"\n.balign 8\n.quad 1b, 2b\n.popsection\n"
			 : "+r"(v)
			 : "r"(0x8000000000000000UL));
	return v == 1;
}

static void check_exceptions(struct ktest *t, unsigned cpu __unused)
{
	KEXPECT(t, exception_arrives());
}

/* On each CPU exceptions come to the kernel, and so do the interrupts of others. */
static void entries_work(struct ktest *t)
{
	cpumask_t answered = {0};

	on_each_cpu(t, check_exceptions);
	preempt_disable();
	smp_call_mask(&cpu_online_mask, answer, &answered);
	cpumask_set(&answered, smp_processor_id());
	preempt_enable();
	KEXPECT_EQ(t, cpumask_weight(&answered), cpumask_weight(&cpu_online_mask));
}

/* The signals of Linux: arch/x86/kernel/traps.c, signal(7). */
static void signals(struct ktest *t)
{
	static const u8 expected[] = {
		[0] = SIGFPE,	[1] = SIGTRAP,	[3] = SIGTRAP,	[4] = SIGSEGV, [5] = SIGSEGV,
		[6] = SIGILL,	[9] = SIGFPE,	[10] = SIGSEGV, [11] = SIGBUS, [12] = SIGBUS,
		[13] = SIGSEGV, [14] = SIGSEGV, [16] = SIGFPE,	[17] = SIGBUS, [18] = SIGBUS,
		[19] = SIGFPE,	[21] = SIGSEGV,
	};

	for (unsigned v = 0; v < ARRAY_SIZE(expected); v++)
		if (expected[v])
			KEXPECT_EQ(t, trap_signal(v), expected[v]);
}

/* In a set of one CPU all but that one have others; with a second member, in another word, all have. */
static void sets_have_others(struct ktest *t)
{
	for (unsigned a = 0; a < MAX_CPUS; a++) {
		cpumask_t set = cpumask_of(a);

		for (unsigned b = 0; b < MAX_CPUS; b++)
			KEXPECT_EQ(t, cpumask_has_others(&set, b), a != b);
		cpumask_set(&set, (a + 64) % MAX_CPUS);
		KEXPECT(t, cpumask_has_others(&set, a));
	}
}

/* Of two sets of one CPU each has more than the other, unless they are the same; in any words. */
static void sets_have_more(struct ktest *t)
{
	for (unsigned a = 0; a < MAX_CPUS; a++) {
		const cpumask_t one = cpumask_of(a);

		for (unsigned b = 0; b < MAX_CPUS; b++) {
			cpumask_t known = cpumask_of(b);

			KEXPECT_EQ(t, cpumask_has_more(&one, &known), a != b);
			cpumask_set(&known, a);
			KEXPECT(t, !cpumask_has_more(&one, &known));
		}
	}
}

static u32 nr_called[MAX_CPUS];

static void note_call(void *unused __unused)
{
	nr_called[smp_processor_id()]++;
}

/* The caller is in the mask, and is not called. */
static void calls_reach_the_others_once(struct ktest *t)
{
	unsigned self;

	memset(nr_called, 0, sizeof(nr_called));
	preempt_disable();
	self = smp_processor_id();
	smp_call_mask(&cpu_online_mask, note_call, NULL);
	preempt_enable();
	for_each_online_cpu(cpu)
		KEXPECT_EQ(t, nr_called[cpu], cpu != self);
}

static const struct ktest_case cases[] = {
	{"registers", registers},
	{"tables", tables},
	{"entries_work", entries_work},
	{"calls_reach_the_others_once", calls_reach_the_others_once},
	{"signals", signals},
	{"sets_have_others", sets_have_others},
	{"sets_have_more", sets_have_more},
};
KTEST_SUITE(cpu_suite, "cpu", "control registers and descriptor tables of every CPU", true, cases);
