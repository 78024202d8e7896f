/* The native bodies that patching puts inline and that other backends reuse. */
#pragma once

#include "pv/pv_ops.h"

/*
 * Each does natively what the entry of the pv table of its name says (pv/pv_ops.h), or executes the
 * instructions that it is named after; native_identity() is the way between frames, both ways.
 */
__callee_save unsigned long native_save_fl(void);
__callee_save void native_irq_disable(void);
__callee_save void native_irq_enable(void);
void native_safe_halt(void);
__callee_save void native_stac(void);
__callee_save void native_clac(void);
__callee_save void native_lfence(void);
__callee_save void native_clac_lfence(void);
__callee_save void native_nop(void);
__callee_save unsigned long native_read_cr2(void);
__callee_save u64 native_identity(u64 frame);
void native_set_pte(pte_t *ptep, pte_t pte);
void native_install_pte(pte_t *ptep, pte_t pte, unsigned long addr);
pte_t native_ptep_get_and_clear(pte_t *ptep);
void native_get_and_clear_ptes(pte_t *ptep, pte_t *old, unsigned n);
void native_modify_ptes(pte_t *ptep, const pte_t *new, unsigned n);
void native_set_tables(const struct table_change *change, unsigned n);
bool native_fix_fault(const struct pt_regs *regs, unsigned long addr);
void native_load_pgd(struct mm *mm, u64 pgd_pfn, unsigned asid, bool flush);

/* Entries of the table that depend on the CPU. */
void native_setup(void);
