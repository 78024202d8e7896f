/*
 * Page-table entries: their types and bits. Each level's entry is a struct of its own, so that an
 * entry of one level cannot be stored in another. Sources: AMD APM vol. 2, 5.3-5.4; Intel SDM vol.
 * 3, 4.5. Values hold machine addresses; mm/table/pgtable.h converts.
 */
#pragma once

#include "kernel/lib/types.h"

typedef struct {
	u64 v;
} pte_t; /* L1 */
typedef struct {
	u64 v;
} pmd_t; /* L2 */
typedef struct {
	u64 v;
} pud_t; /* L3 */
typedef struct {
	u64 v;
} pgd_t; /* L4 */
typedef struct {
	u64 v;
} pgprot_t;

/* A change of an entry of L2 or above. */
struct table_change {
	void *entry; /* in the direct map */
	u64 val;
};

#define TABLE_CHANGES_MAX 32 /* of one call; more are committed in parts */

#define _PAGE_PRESENT BIT(0)
#define _PAGE_RW BIT(1)
#define _PAGE_USER BIT(2)
#define _PAGE_PWT BIT(3)
#define _PAGE_PCD BIT(4)
#define _PAGE_ACCESSED BIT(5)
#define _PAGE_DIRTY BIT(6)
#define _PAGE_PSE BIT(7)
#define _PAGE_GLOBAL BIT(8)
#define _PAGE_PROTNONE BIT(10) /* software, only where not present: no rights, but a frame */
#define _PAGE_SPECIAL BIT(9)   /* software: the frame is not reference counted */
#define _PAGE_NX BIT(63)

#define _PAGE_AD (_PAGE_ACCESSED | _PAGE_DIRTY)
#define PTE_MFN_MASK 0x000ffffffffff000UL
#define PTE_FLAGS_MASK (~PTE_MFN_MASK)

/* Upper levels grant everything; the PTE decides, and may be narrowed by an L2 entry. */
#define _PAGE_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_AD)
#define _KERNPG_TABLE (_PAGE_PRESENT | _PAGE_RW | _PAGE_AD)
#define _PAGE_KERNEL (_PAGE_PRESENT | _PAGE_RW | _PAGE_AD | _PAGE_GLOBAL | _PAGE_NX)
#define _PAGE_KERNEL_RO (_PAGE_KERNEL & ~_PAGE_RW)

#define PTRS_PER_TABLE 512
#define PMD_SHIFT 21
#define PMD_SIZE BIT(PMD_SHIFT)
#define PUD_SHIFT 30
#define PUD_SIZE BIT(PUD_SHIFT)
#define PGD_SHIFT 39
#define PGD_SIZE BIT(PGD_SHIFT)

/* The start of the block of addresses that the PTE page of @addr covers. */
static inline unsigned long pmd_start(unsigned long addr)
{
	return addr & ~(PMD_SIZE - 1);
}
