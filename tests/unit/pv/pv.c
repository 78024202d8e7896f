/*
 * Suite `pv`: the patching of the pv call sites.
 *
 * Oracle: the bytes of the code. Each recorded site holds a direct call that reaches the body which
 * its slot of the table names, or the instruction that stands for it, by the bytes written out
 * here; and nowhere in the kernel's text is there an indirect call or jump through the table.
 */
#include "kernel/arch/irqflags.h"
#include "kernel/cpu/cpu.h"
#include "kernel/lib/string.h"
#include "pv/native/native.h"
#include "tests/ktest.h"

extern const u8 __text_start[], __text_end[];

/* What the sites of some slots must hold natively, whatever patch.c believes. */
static const struct {
	const void *slot, *body;
	unsigned len;
	u8 code[PV_SITE_LEN];
} inlined[] = {
	{&pv_ops.irq.irq_disable, native_irq_disable, 1, {0xfa}},
	{&pv_ops.irq.irq_enable, native_irq_enable, 1, {0xfb}},
	{&pv_ops.irq.save_fl, native_save_fl, 2, {0x9c, 0x58}},
	{&pv_ops.mmu.set_pte, native_set_pte, 6, {0x2e, 0x2e, 0x2e, 0x48, 0x89, 0x37}},
	{&pv_ops.mmu.install_pte, native_install_pte, 6, {0x2e, 0x2e, 0x2e, 0x48, 0x89, 0x37}},
	{&pv_ops.mmu.pfn_to_mfn, native_identity, 6, {0x2e, 0x2e, 0x2e, 0x48, 0x89, 0xf8}},
	{&pv_ops.mmu.read_cr2, native_read_cr2, 3, {0x0f, 0x20, 0xd0}},
	{&pv_ops.cpu.uaccess_begin, native_stac, 3, {0x0f, 0x01, 0xcb}},
	{&pv_ops.cpu.uaccess_end, native_clac, 3, {0x0f, 0x01, 0xca}},
	{&pv_ops.cpu.enter_kernel, native_clac, 3, {0x0f, 0x01, 0xca}},
	{&pv_ops.cpu.enter_kernel, native_lfence, 6, {0x2e, 0x2e, 0x2e, 0x0f, 0xae, 0xe8}},
	{&pv_ops.cpu.enter_kernel, native_clac_lfence, 6, {0x0f, 0x01, 0xca, 0x0f, 0xae, 0xe8}},
};

static bool is_call(const struct pv_site *s)
{
	return s->addr[0] == 0x2e && s->addr[1] == 0xe8;
}

static bool is_direct_call(const struct pv_site *s)
{
	int rel;

	memcpy(&rel, s->addr + 2, sizeof(rel));
	return is_call(s) && s->addr + PV_SITE_LEN + rel == *s->slot;
}

static void sites_hold_what_they_should(struct ktest *t)
{
	unsigned calls = 0;

	for (const struct pv_site *s = __pv_sites_start; s < __pv_sites_end; s++) {
		u8 expected[PV_SITE_LEN];

		pv_expected_code(s, expected);
		KEXPECT(t, !memcmp(s->addr, expected, PV_SITE_LEN));
		KEXPECT(t, s->addr >= __text_start && s->addr + PV_SITE_LEN <= __text_end);
		KEXPECT(t, is_direct_call(s) || !is_call(s));
		calls += is_direct_call(s);
		for (unsigned i = 0; i < ARRAY_SIZE(inlined); i++)
			if (s->slot == inlined[i].slot && *s->slot == inlined[i].body)
				KEXPECT(t, !memcmp(s->addr, inlined[i].code, inlined[i].len));
	}
	KEXPECT(t, calls > 20 && __pv_sites_end - __pv_sites_start > 100);
}

/* call and jmp through memory, RIP-relative (15, 25) or absolute (14 25, 24 25), into the table. */
static void no_indirect_call_is_left(struct ktest *t)
{
	const u8 *table = (const u8 *)&pv_ops, *table_end = table + sizeof(pv_ops);

	for (const u8 *p = __text_start; p + 7 <= __text_end; p++) {
		bool relative = p[0] == 0xff && (p[1] == 0x15 || p[1] == 0x25);
		bool absolute = p[0] == 0xff && (p[1] == 0x14 || p[1] == 0x24) && p[2] == 0x25;
		const u8 *operand;
		int disp;

		if (!relative && !absolute)
			continue;
		memcpy(&disp, p + (relative ? 2 : 3), sizeof(disp));
		operand = (relative ? p + 6 : NULL) + disp;
		KEXPECT(t, operand < table || operand >= table_end);
	}
}

static void patched_ops_work(struct ktest *t)
{
	pte_t pte = {0x1234};
	unsigned long flags;

	KEXPECT(t, !irqs_disabled());
	flags = local_irq_save();
	KEXPECT(t, irqs_disabled());
	local_irq_restore(flags);
	KEXPECT(t, !irqs_disabled());
	KEXPECT_EQ(t, mfn_to_pfn(pfn_to_mfn(pfn(77))).v, 77);
	if (pv_ops.mmu.set_pte != native_set_pte)
		return; /* only an entry of a table can be set */
	pv_set_pte(&pte, (pte_t){0x5678});
	KEXPECT_EQ(t, READ_ONCE(pte.v), 0x5678);
}

/*
 * Called as they are called before the sites are patched: not the inline code that replaces them.
 */
static void bodies_do_what_is_inlined(struct ktest *t)
{
	void (*const volatile set)(pte_t *, pte_t) = native_set_pte;
	pte_t (*const volatile clear)(pte_t *) = native_ptep_get_and_clear;
	__callee_save u64 (*const volatile identity)(u64) = native_identity;
	pte_t pte = {0x1234};

	set(&pte, (pte_t){0x5678});
	KEXPECT_EQ(t, READ_ONCE(pte.v), 0x5678);
	KEXPECT_EQ(t, clear(&pte).v, 0x5678);
	KEXPECT_EQ(t, READ_ONCE(pte.v), 0);
	KEXPECT_EQ(t, identity(77), 77);
}

/* What a native entry does first is what this CPU needs: a fence, clac, both or nothing. */
static void entries_fit_the_cpu(struct ktest *t)
{
	const void *const wanted[2][2] = {{native_nop, native_lfence},
					  {native_clac, native_clac_lfence}};

	if (!strcmp(pv_ops.name, "xen") || !strcmp(pv_ops.name, "ptwr")) {
		ktest_skip(t, "Xen is entered first");
		return;
	}
	KEXPECT(t, (const void *)pv_ops.cpu.enter_kernel ==
			   wanted[cpu_features.smap][cpu_features.swapgs_fence]);
}

static void every_slot_has_a_body(struct ktest *t)
{
	void **slot = (void **)&pv_ops;

	for (unsigned i = 0; i < sizeof(pv_ops) / sizeof(void *); i++)
		KEXPECT(t, slot[i] != NULL);
}

static const struct ktest_case cases[] = {
	{"sites_hold_what_they_should", sites_hold_what_they_should},
	{"no_indirect_call_is_left", no_indirect_call_is_left},
	{"patched_ops_work", patched_ops_work},
	{"bodies_do_what_is_inlined", bodies_do_what_is_inlined},
	{"entries_fit_the_cpu", entries_fit_the_cpu},
	{"every_slot_has_a_body", every_slot_has_a_body},
};
KTEST_SUITE(pv_suite, "pv", "patching of the pv call sites", true, cases);
