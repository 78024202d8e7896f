/*
 * Boot-time patching of the pv call sites.
 *
 * Each site is `call *slot(%rip)`, 6 bytes. If its slot holds a native body of one or two
 * instructions, these go inline; else it becomes a direct call. What is left of the 6 bytes becomes
 * CS prefixes, which mean nothing in 64-bit mode and cost no instruction (AMD APM vol. 3, 1.2.4),
 * up to three, or a NOP. Afterwards no indirect call is left, which tests/unit/pv/pv.c reads back
 * from the code.
 *
 * The kernel's text is read-only; the backend makes it writable for the moment of the write, with
 * interrupts off and no other CPU running.
 */
#include "kernel/debug/panic.h"
#include "kernel/debug/printk.h"
#include "kernel/lib/string.h"
#include "pv/native/native.h"
#include "pv/soft/soft.h"
#include "pv/xen/xen.h"

#define NOP 0x90
#define CS 0x2e
#define CALL_REL32 0xe8

static const struct template
{
	const void *body;
	u8 len, code[PV_SITE_LEN];
}
templates[] = {
	/* clang-format off */
	{native_save_fl, 2, {0x9c, 0x58}},                               /* pushf; pop %rax */
	{native_irq_disable, 1, {0xfa}},                                 /* cli */
	{native_irq_enable, 1, {0xfb}},                                  /* sti */
	{native_safe_halt, 2, {0xfb, 0xf4}},                             /* sti; hlt */
	{native_stac, 3, {0x0f, 0x01, 0xcb}},                            /* stac */
	{native_clac, 3, {0x0f, 0x01, 0xca}},                            /* clac */
	{native_lfence, 6, {CS, CS, CS, 0x0f, 0xae, 0xe8}},              /* lfence */
	{native_clac_lfence, 6, {0x0f, 0x01, 0xca, 0x0f, 0xae, 0xe8}},   /* clac; lfence */
	{native_nop, 0, {0}},                                            /* */
	{native_fix_fault, 2, {0x31, 0xc0}},                             /* xor %eax, %eax */
	{native_read_cr2, 3, {0x0f, 0x20, 0xd0}},                        /* mov %cr2, %rax */
	{native_identity, 6, {CS, CS, CS, 0x48, 0x89, 0xf8}},            /* mov %rdi, %rax */
	{native_set_pte, 6, {CS, CS, CS, 0x48, 0x89, 0x37}},             /* mov %rsi, (%rdi) */
	{native_install_pte, 6, {CS, CS, CS, 0x48, 0x89, 0x37}},         /* mov %rsi, (%rdi) */
	{native_ptep_get_and_clear, 6, {CS, 0x31, 0xc0, 0x48, 0x87, 0x07}}, /* xor %eax, %eax; xchg %rax, (%rdi) */
	/* clang-format on */
};

bool pv_queues_updates, pv_validates_updates, pv_injects_refusals, pv_owns_tables;
struct pv_table_costs pv_table_costs = {
	.fill_min = 24, .drop_min = 16, .shift_min = 16, .reserve_max = 64};

static const struct backend {
	const char *name;
	void (*setup)(void);
} backends[] = {
	{"native", native_setup},
	{"deferred", deferred_setup},
	{"shadow", shadow_setup},
};

bool pv_select_backend(const char *name)
{
	if (xen_start_info)
		return xen_select_backend(name); /* its boot path has filled the table */
	native_setup();
	for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
		if (!strcmp(backends[i].name, name)) {
			backends[i].setup();
			return true;
		}
	}
	return false;
}

static const struct template *find_template(const void *body)
{
	for (unsigned i = 0; i < ARRAY_SIZE(templates); i++)
		if (templates[i].body == body)
			return &templates[i];
	return NULL;
}

/* The longest NOPs for what the inline code leaves over (AMD APM vol. 3, NOP). */
static void fill_nops(u8 *p, unsigned n)
{
	static const u8 nops[][PV_SITE_LEN] = {
		{0},
		{NOP},
		{0x66, NOP},
		{0x0f, 0x1f, 0x00},
		{0x0f, 0x1f, 0x40, 0x00},
		{0x0f, 0x1f, 0x44, 0x00, 0x00},
		{0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
	};

	memcpy(p, nops[n], n);
}

void pv_expected_code(const struct pv_site *site, u8 code[PV_SITE_LEN])
{
	const void *body = *site->slot;
	const struct template *t = find_template(body);
	u32 rel = (const u8 *)body - (site->addr + PV_SITE_LEN);

	if (t) {
		memcpy(code, t->code, t->len);
		fill_nops(code + t->len, PV_SITE_LEN - t->len);
		return;
	}
	code[0] = CS;
	code[1] = CALL_REL32;
	memcpy(code + 2, &rel, sizeof(rel));
}

static void patch_site(const struct pv_site *site)
{
	u8 code[PV_SITE_LEN];

	if (site->addr[0] != 0xff || site->addr[1] != 0x15)
		panic("pv: the site at %p is no indirect call", site->addr);
	if (!*site->slot)
		panic("pv: the site at %p uses an empty slot of the table", site->addr);
	pv_expected_code(site, code);
	memcpy(site->addr, code, sizeof(code));
}

void pv_patch_all(void)
{
	/* By value: a call through the table would be left in the code. */
	void (*text_writable)(bool on) = READ_ONCE(pv_ops.cpu.text_writable);

	text_writable(true);
	for (const struct pv_site *s = __pv_sites_start; s < __pv_sites_end; s++)
		patch_site(s);
	text_writable(false);
	pr_info("pv: backend %s, %lu call sites patched\n", pv_ops.name,
		__pv_sites_end - __pv_sites_start);
}
