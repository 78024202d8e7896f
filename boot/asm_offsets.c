/*
 * What the sources in assembly have to know of C: values and offsets, taken from the headers, so
 * that neither can change without the other. This file is compiled to assembly and never assembled;
 * the Makefile makes asm-offsets.inc of its lines `.ascii "NAME=VALUE"`. As in Linux
 * (arch/x86/kernel/asm-offsets.c) and Xen.
 */
#include "kernel/arch/ptregs.h"
#include "kernel/cpu/cpu.h"
#include "kernel/entry/traps.h"
#include "kernel/lib/layout.h"
#include "mm/types/addr.h"
#include "mm/types/pgtable_types.h"
#include "pv/pv_ops.h"

#include <xen/xen.h>

#define DEFINE(name, value) __asm__ volatile(".ascii \"" #name "=%0\"" : : "i"(value))
#define PT_REGS(NAME, member) DEFINE(PT_REGS_##NAME, offsetof(struct pt_regs, member))

void asm_offsets(void);
void asm_offsets(void)
{
	DEFINE(KERNEL_BASE, KERNEL_BASE);
	DEFINE(DIRECT_MAP_L4, DIRECT_MAP >> PGD_SHIFT & (PTRS_PER_TABLE - 1));
	DEFINE(XEN_P2M, XEN_P2M);
	DEFINE(TRAMPOLINE, TRAMPOLINE);
	DEFINE(USER_CS, USER_CS);
	DEFINE(USER_DS, USER_DS);
	DEFINE(TRAP_GP, TRAP_GP);
	DEFINE(HYPERVISOR_IRET, __HYPERVISOR_iret);
	DEFINE(XEN_M2P, HYPERVISOR_VIRT_START);
	DEFINE(IST_STACK_SIZE, IST_STACK_SIZE);
	DEFINE(TSS_SP0, offsetof(struct tss, sp));
	DEFINE(PV_CPU_ENTER_KERNEL, offsetof(struct pv_ops, cpu.enter_kernel));
	DEFINE(PT_REGS_SIZE, sizeof(struct pt_regs));
	PT_REGS(BP, bp);
	PT_REGS(R11, r11);
	PT_REGS(R10, r10);
	PT_REGS(R9, r9);
	PT_REGS(R8, r8);
	PT_REGS(AX, ax);
	PT_REGS(DX, dx);
	PT_REGS(SI, si);
	PT_REGS(DI, di);
	PT_REGS(IP, ip);
	PT_REGS(CS, cs);
	PT_REGS(FLAGS, flags);
	PT_REGS(SP, sp);
}
