/*
 * Suite `pv`: the patching of the pv call sites.
 *
 * Oracle: the bytes of the code. Each recorded site holds exactly what its slot of the table stands
 * for (the inlined instruction, or a direct call to the body and a NOP), and no indirect call
 * through the table is left anywhere in the kernel's text.
 */
#include "kernel/irqflags.h"
#include "kernel/string.h"
#include "pv/native.h"
#include "tests/ktest.h"

extern const u8 __text_start[], __text_end[];

static void sites_hold_what_they_should(struct ktest *t)
{
	for (const struct pv_site *s = __pv_sites_start; s < __pv_sites_end; s++) {
		u8 expected[PV_SITE_LEN];

		pv_expected_code(s, expected);
		KEXPECT(t, !memcmp(s->addr, expected, PV_SITE_LEN));
		KEXPECT(t, s->addr >= __text_start && s->addr + PV_SITE_LEN <= __text_end);
	}
	KEXPECT(t, __pv_sites_end - __pv_sites_start > 100);
}

/* `call *disp(%rip)` and `jmp *disp(%rip)` whose operand lies in the table, at any offset. */
static void no_indirect_call_is_left(struct ktest *t)
{
	const u8 *table = (const u8 *)&pv_ops, *table_end = table + sizeof(pv_ops);

	for (const u8 *p = __text_start; p + PV_SITE_LEN <= __text_end; p++) {
		const u8 *operand;
		int disp;

		if (p[0] != 0xff || (p[1] != 0x15 && p[1] != 0x25))
			continue;
		memcpy(&disp, p + 2, sizeof(disp));
		operand = p + PV_SITE_LEN + disp;
		KEXPECT(t, operand < table || operand >= table_end);
	}
}

/* Sites of this very function: what the templates say, read back from the code around. */
static void interrupts_are_one_instruction(struct ktest *t)
{
	unsigned cli = 0, sti = 0;

	for (const struct pv_site *s = __pv_sites_start; s < __pv_sites_end; s++) {
		cli += s->slot == (void **)&pv_ops.irq.irq_disable && s->addr[0] == 0xfa;
		sti += s->slot == (void **)&pv_ops.irq.irq_enable && s->addr[0] == 0xfb;
	}
	KEXPECT(t, cli > 0 && sti > 0);
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
	pv_set_pte(&pte, (pte_t){0x5678});
	KEXPECT_EQ(t, READ_ONCE(pte.v), 0x5678);
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
	{"interrupts_are_one_instruction", interrupts_are_one_instruction},
	{"patched_ops_work", patched_ops_work},
	{"every_slot_has_a_body", every_slot_has_a_body},
};
KTEST_SUITE(pv_suite, "pv", "patching of the pv call sites", true, cases);
