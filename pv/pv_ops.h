/*
 * The pv table: every operation that differs between hypervisors, and the inline wrappers that are
 * the table's only callers.
 *
 * The native bodies are the table's static initialiser. A backend overrides its entries before
 * pv_patch_all() runs; that rewrites every call site, recorded in the section .pv_sites, into the
 * native instruction itself or into a direct call. After it no indirect call is left, and the table
 * is read only by the patching of later sites (there are none) and by tests.
 *
 * An op marked __callee_save keeps all registers but rax, in every backend.
 */
#pragma once

#include "kernel/lib/cpumask.h"
#include "kernel/lib/shutdown_reason.h"
#include "mm/types/pgtable_types.h"

struct mm;
struct batch;
struct task;
struct pt_regs;
struct tlb_flush;

struct pv_irq_ops {
	unsigned long (*save_fl)(void) __callee_save; /* RFLAGS, of which only IF counts */
	void (*irq_disable)(void) __callee_save;
	void (*irq_enable)(void) __callee_save;
	void (*safe_halt)(void); /* enable interrupts and wait for one, with no gap between */
};

struct pv_cpu_ops {
	void (*uaccess_begin)(void) __callee_save; /* open user memory to the kernel (SMAP) */
	void (*uaccess_end)(void) __callee_save;
	/* First in an entry to the kernel: close user memory, end speculation over swapgs. */
	void (*enter_kernel)(void) __callee_save;
	void (*load_sp0)(unsigned long sp); /* the stack for entries from user mode */
	/*
	 * The data segments of user mode, selectors and the bases of FS and GS, between the CPU and
	 * a task that leaves or gets it. Interrupts off.
	 */
	void (*save_user_segments)(struct task *t);
	void (*load_user_segments)(const struct task *t);
	/* The first way to user mode of a new task; does not return. */
	void (*enter_user)(struct pt_regs *regs);
	/*
	 * Around the patching of the kernel's text. Called through the table, before it is patched.
	 */
	void (*text_writable)(bool on);
};

#define PV_RUN_MAX 32 /* entries of a table that are cleared together */

struct pv_mmu_ops {
	/*
	 * At boot, one CPU, before page_alloc_init(): the kernel's tables are complete, and from
	 * now on the hypervisor's.
	 */
	void (*take_over)(void);
	unsigned long (*read_cr2)(void) __callee_save;
	u64 (*pfn_to_mfn)(u64 pfn) __callee_save;
	u64 (*mfn_to_pfn)(u64 mfn) __callee_save;

	/*
	 * A fault of the user half that is not the guest's, because the CPU walks other tables than
	 * the guest's: true if it is fixed and the access can be tried again. Interrupts off.
	 */
	bool (*fix_fault)(const struct pt_regs *regs, unsigned long addr);
	/* What is wrong with the hypervisor's books; each is printed. Nothing else runs. */
	unsigned (*audit)(void);

	/* L1. Inside a lazy section a backend may queue them; see mm/lazy/batch.h. */
	void (*set_pte)(pte_t *ptep, pte_t pte);
	/* The same outside of a section, of the entry for user address @addr. */
	void (*install_pte)(pte_t *ptep, pte_t pte, unsigned long addr);
	pte_t (*ptep_get_and_clear)(pte_t *ptep);
	/* The same of a run: @n entries of a table; what they held is left in @old. */
	void (*get_and_clear_ptes)(pte_t *ptep, pte_t *old, unsigned n);
	/* Replace @n entries of a table, keeping the A and D bits that the CPU has set in them. */
	void (*modify_ptes)(pte_t *ptep, const pte_t *new, unsigned n);

	/* L2 and above: @n changes, in order, effective at once, never queued. */
	void (*set_tables)(const struct table_change *change, unsigned n);
	/* A page becomes a table; a PTE page may hold entries already. 0, or for L4 -ENOMEM. */
	int (*alloc_table)(struct mm *mm, u64 pfn, unsigned level);
	/* A table without a link becomes plain memory; a PTE page may still hold entries. */
	void (*unmake_table)(u64 pfn);

	/* Make the updates that the batch holds effective, in order, then pay the invalidation. */
	void (*issue)(struct batch *b);

	/* This CPU's TLB: all user entries of the address space that is loaded; one page of it. */
	void (*flush_tlb_local)(void);
	void (*flush_tlb_one)(unsigned long addr);
	/* Carry out an invalidation on all CPUs that it concerns; see mm/lazy/tlb.h. */
	void (*flush_tlb)(struct tlb_flush *f);
	/* Load @pgd on this CPU; @flush drops what the TLB holds under @asid. */
	void (*load_pgd)(struct mm *mm, u64 pgd_pfn, unsigned asid, bool flush);
};

struct pv_lock_ops {
	/* Wait until *@head may have become @ticket; may return early. Preemption is off. */
	void (*wait)(const u16 *head, u16 ticket);
	void (*kick)(unsigned cpu);
	/*
	 * True if the hypervisor does not run @cpu just now: its locks will not be released soon.
	 */
	bool (*cpu_is_preempted)(unsigned cpu);
};

struct pv_smp_ops {
	void (*send_ipi)(unsigned cpu, u8 vector);
	void (*eoi)(void);
	/* The next timer interrupt of this CPU, in @ns from now. */
	void (*set_timer)(u64 ns);
	u64 (*clock_ns)(void); /* since boot */
	/* For a panic: interrupt @cpu whatever it does; and stop this CPU for ever. */
	void (*send_nmi)(unsigned cpu);
	void (*stop_this_cpu)(void);
	/* Let the hypervisor count what the kernel counts from now on; at the @end print both. */
	void (*witness)(bool end);
	/* End the machine and say why; may return if there is no way to. */
	void (*shutdown)(enum shutdown_reason why);
};

struct pv_ops {
	const char *name;
	struct pv_irq_ops irq;
	struct pv_cpu_ops cpu;
	struct pv_mmu_ops mmu;
	struct pv_lock_ops lock;
	struct pv_smp_ops smp;
};

extern struct pv_ops pv_ops;
/* True where updates of a section wait in the batch; false where each is a store of its own. */
extern bool pv_queues_updates;
/* True where a hypervisor looks at each update, and refuses those that are not safe. */
extern bool pv_validates_updates;
/* True where it refuses one by request: struct batch_refusal. */
extern bool pv_injects_refusals;

/* True where tables are a hypervisor's: it is told of each, and no other store reaches them. */
extern bool pv_owns_tables;

struct pv_table_costs {
	/*
	 * From how many entries on it is cheaper to fill, or to drop, the PTE page as a whole; or,
	 * where its entries go elsewhere, to do both.
	 */
	unsigned fill_min, drop_min, shift_min;
	/*
	 * Where pv_owns_tables: from how many entries on that must lose RW, beside half of those in
	 * use, it is cheaper to swing in a changed copy: mm/range/push_down.c.
	 */
	unsigned swing_min;
	unsigned reserve_max; /* how many empty tables of a level are kept: mm/table/table_reserve.h
			       */
};
extern struct pv_table_costs pv_table_costs;

/* One call site: the address of the 6-byte call instruction and of the table's slot it uses. */
struct pv_site {
	u8 *addr;
	void **slot;
};
extern const struct pv_site __pv_sites_start[], __pv_sites_end[];
#define PV_SITE_LEN 6

#define PV_CALL_ASM                                                                                \
	"771: call *%c[op](%%rip)\n"                                                               \
	".pushsection .pv_sites, \"a\"\n.balign 8\n.quad 771b, %c[op]\n.popsection\n"
#define PV_OP(member) [op] "i"(&pv_ops.member)
#define PV_SCRATCH "rcx", "r8", "r9", "r10", "r11", "memory", "cc"
#define PV_ARG(x) ((u64)(x))

/* Callee-save ops: nothing is clobbered but the result. */
#define PV_CS_VCALL0(member) __asm__ volatile(PV_CALL_ASM : : PV_OP(member) : "rax", "memory", "cc")
#define PV_CS_CALL0(member)                                                                        \
	({                                                                                         \
		u64 __ret;                                                                         \
		__asm__ volatile(PV_CALL_ASM : "=a"(__ret) : PV_OP(member) : "memory", "cc");      \
		__ret;                                                                             \
	})
#define PV_CS_PURE1(member, a)                                                                     \
	({                                                                                         \
		u64 __ret;                                                                         \
		__asm__(PV_CALL_ASM : "=a"(__ret) : PV_OP(member), "D"(PV_ARG(a)) : "cc");         \
		__ret;                                                                             \
	})
/* Ordinary ops: the C calling convention. */
#define PV_CALL4(member, a, b, c, d)                                                               \
	({                                                                                         \
		u64 __ret, __a = PV_ARG(a), __b = PV_ARG(b), __c = PV_ARG(c);                      \
		u64 __d = PV_ARG(d);                                                               \
		__asm__ volatile(PV_CALL_ASM                                                       \
				 : "=a"(__ret), "+D"(__a), "+S"(__b), "+d"(__c), "+c"(__d)         \
				 : PV_OP(member)                                                   \
				 : "r8", "r9", "r10", "r11", "memory", "cc");                      \
		__ret;                                                                             \
	})
#define PV_CALL3(member, a, b, c)                                                                  \
	({                                                                                         \
		u64 __ret, __a = PV_ARG(a), __b = PV_ARG(b), __c = PV_ARG(c);                      \
		__asm__ volatile(PV_CALL_ASM                                                       \
				 : "=a"(__ret), "+D"(__a), "+S"(__b), "+d"(__c)                    \
				 : PV_OP(member)                                                   \
				 : PV_SCRATCH);                                                    \
		__ret;                                                                             \
	})
#define PV_CALL2(member, a, b)                                                                     \
	({                                                                                         \
		u64 __ret, __a = PV_ARG(a), __b = PV_ARG(b);                                       \
		__asm__ volatile(PV_CALL_ASM                                                       \
				 : "=a"(__ret), "+D"(__a), "+S"(__b)                               \
				 : PV_OP(member)                                                   \
				 : "rdx", PV_SCRATCH);                                             \
		__ret;                                                                             \
	})
#define PV_CALL1(member, a)                                                                        \
	({                                                                                         \
		u64 __ret, __a = PV_ARG(a);                                                        \
		__asm__ volatile(PV_CALL_ASM                                                       \
				 : "=a"(__ret), "+D"(__a)                                          \
				 : PV_OP(member)                                                   \
				 : "rsi", "rdx", PV_SCRATCH);                                      \
		__ret;                                                                             \
	})
#define PV_CALL0(member) PV_CALL1(member, 0)

static inline void pv_uaccess_begin(void)
{
	PV_CS_VCALL0(cpu.uaccess_begin);
}

static inline void pv_uaccess_end(void)
{
	PV_CS_VCALL0(cpu.uaccess_end);
}

static inline void pv_load_sp0(unsigned long sp)
{
	PV_CALL1(cpu.load_sp0, sp);
}

static inline void pv_save_user_segments(struct task *t)
{
	PV_CALL1(cpu.save_user_segments, t);
}

static inline void pv_load_user_segments(const struct task *t)
{
	PV_CALL1(cpu.load_user_segments, t);
}

static inline void pv_enter_user(struct pt_regs *regs)
{
	PV_CALL1(cpu.enter_user, regs);
}

static inline unsigned long pv_read_cr2(void)
{
	return PV_CS_CALL0(mmu.read_cr2);
}

static inline void pv_take_over(void)
{
	PV_CALL0(mmu.take_over);
}

static inline bool pv_fix_fault(const struct pt_regs *regs, unsigned long addr)
{
	return (bool)PV_CALL2(mmu.fix_fault, regs, addr);
}

static inline unsigned pv_audit(void)
{
	return (unsigned)PV_CALL0(mmu.audit);
}

static inline mfn_t pfn_to_mfn(pfn_t p)
{
	return (mfn_t){PV_CS_PURE1(mmu.pfn_to_mfn, p.v)};
}

static inline pfn_t mfn_to_pfn(mfn_t m)
{
	return (pfn_t){PV_CS_PURE1(mmu.mfn_to_pfn, m.v)};
}

enum owed_change {
	OWED_ALL,
	OWED_KEEPS_AD, /* A and D bits that are set stay */
};

#ifdef CONFIG_DEBUG
/*
 * mm/table/owed.c: what a change of entries takes from TLBs that know them. Before it is made.
 */
void owed_ptes(const pte_t *ptep, const pte_t *new, unsigned n, enum owed_change change);
/* The same, of links. */
void owed_tables_begin(const struct table_change *change, unsigned n);
/* And after it, with the same arguments. */
void owed_tables_end(const struct table_change *change, unsigned n);
#else
static inline void owed_ptes(const pte_t *ptep __unused, const pte_t *new __unused,
			     unsigned n __unused, enum owed_change change __unused)
{
}
static inline void owed_tables_begin(const struct table_change *change __unused,
				     unsigned n __unused)
{
}
static inline void owed_tables_end(const struct table_change *change __unused, unsigned n __unused)
{
}
#endif

static inline void pv_set_pte(pte_t *ptep, pte_t pte)
{
	owed_ptes(ptep, &pte, 1, OWED_ALL);
	PV_CALL2(mmu.set_pte, ptep, pte.v);
}

static inline void pv_install_pte(pte_t *ptep, pte_t pte, unsigned long addr)
{
	owed_ptes(ptep, &pte, 1, OWED_ALL);
	PV_CALL3(mmu.install_pte, ptep, pte.v, addr);
}

static inline pte_t pv_ptep_get_and_clear(pte_t *ptep)
{
	owed_ptes(ptep, &(pte_t){0}, 1, OWED_ALL);
	return (pte_t){PV_CALL1(mmu.ptep_get_and_clear, ptep)};
}

static inline void pv_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		owed_ptes(ptep + i, &(pte_t){0}, 1, OWED_ALL);
	PV_CALL3(mmu.get_and_clear_ptes, ptep, old, n);
}

static inline void pv_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n)
{
	owed_ptes(ptep, new, n, OWED_KEEPS_AD);
	PV_CALL3(mmu.modify_ptes, ptep, new, n);
}

static inline void pv_set_tables(const struct table_change *change, unsigned n)
{
	owed_tables_begin(change, n);
	PV_CALL2(mmu.set_tables, change, n);
	owed_tables_end(change, n);
}

static inline int pv_alloc_table(struct mm *mm, pfn_t p, unsigned level)
{
	return (int)PV_CALL3(mmu.alloc_table, mm, p.v, level);
}

static inline void pv_unmake_table(pfn_t p)
{
	PV_CALL1(mmu.unmake_table, p.v);
}

static inline void pv_issue(struct batch *b)
{
	PV_CALL1(mmu.issue, b);
}

static inline void pv_flush_tlb_local(void)
{
	PV_CALL0(mmu.flush_tlb_local);
}

static inline void pv_flush_tlb_one(unsigned long addr)
{
	PV_CALL1(mmu.flush_tlb_one, addr);
}

static inline void pv_flush_tlb(struct tlb_flush *f)
{
	PV_CALL1(mmu.flush_tlb, f);
}

static inline void pv_load_pgd(struct mm *mm, pfn_t pgd, unsigned asid, bool flush)
{
	PV_CALL4(mmu.load_pgd, mm, pgd.v, asid, flush);
}

static inline void pv_lock_wait(const u16 *head, u16 ticket)
{
	PV_CALL2(lock.wait, head, ticket);
}

static inline void pv_lock_kick(unsigned cpu)
{
	PV_CALL1(lock.kick, cpu);
}

static inline void pv_send_ipi(unsigned cpu, u8 vector)
{
	PV_CALL2(smp.send_ipi, cpu, vector);
}

static inline void pv_eoi(void)
{
	PV_CALL0(smp.eoi);
}

static inline void pv_set_timer(u64 ns)
{
	PV_CALL1(smp.set_timer, ns);
}

static inline u64 clock_ns(void)
{
	return PV_CALL0(smp.clock_ns);
}

static inline bool pv_cpu_is_preempted(unsigned cpu)
{
	return (bool)PV_CALL1(lock.cpu_is_preempted, cpu);
}

static inline void pv_send_nmi(unsigned cpu)
{
	PV_CALL1(smp.send_nmi, cpu);
}

static inline void __noreturn pv_stop_this_cpu(void)
{
	for (;;)
		PV_CALL0(smp.stop_this_cpu);
}

static inline void pv_witness(bool end)
{
	PV_CALL1(smp.witness, end);
}

static inline void pv_shutdown(enum shutdown_reason why)
{
	PV_CALL1(smp.shutdown, why);
}

/*
 * The queue of this CPU, as mm/ sees it; mm/lazy/batch.h has the inside. A task may be preempted
 * between any two of these calls: the switch issues the queue.
 */
void batch_flush(void); /* issue updates, then the invalidation owed */
bool batch_is_empty(void);
bool batch_is_pending(const pte_t *ptep); /* an update of @ptep is queued here */
/* The section owes an invalidation of @f's range, after its updates. */
void batch_owe_flush(const struct tlb_flush *f);

/* Choose the backend by its name; false if there is none of that name. Before pv_patch_all(). */
bool pv_select_backend(const char *name);
/* Rewrite every recorded call site. Boot CPU, interrupts off, no other CPU running. */
void pv_patch_all(void);
/* What a site must look like once patched; tests compare the code with it. */
void pv_expected_code(const struct pv_site *site, u8 code[PV_SITE_LEN]);
