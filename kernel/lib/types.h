/*
 * The glossary of address words. Every PV bug is a mix-up of two of these, so those that could be
 * mixed up are structs: passing one for the other does not compile, and costs nothing at -O2.
 *
 *   vaddr   an address that the CPU translates.
 *   paddr   a guest-physical address: what this kernel believes memory looks like, contiguous from
 * 0. pfn     paddr >> 12, the index of a `struct page`. maddr   a machine address: what stands in a
 * page-table entry and in CR3. On bare hardware, in QEMU and in the software hypervisors maddr ==
 * paddr; a Xen PV guest sees both. mfn     maddr >> 12. L4..L1  Xen's names of the table levels:
 * pgd (L4), pud (L3), pmd (L2), PTE page (L1).
 */
#pragma once

#include "kernel/lib/compiler.h"

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint16_t u16;
typedef uint8_t u8;
typedef int64_t s64;
typedef int8_t s8;

typedef unsigned long vaddr_t;
typedef u64 paddr_t;

typedef struct {
	u64 v;
} pfn_t;

typedef struct {
	u64 v;
} mfn_t;

typedef struct {
	u64 v;
} maddr_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))

static inline pfn_t pfn(u64 v)
{
	return (pfn_t){v};
}

static inline pfn_t paddr_to_pfn(paddr_t pa)
{
	return (pfn_t){pa >> PAGE_SHIFT};
}

static inline maddr_t mfn_to_maddr(mfn_t m)
{
	return (maddr_t){m.v << PAGE_SHIFT};
}

static inline mfn_t maddr_to_mfn(maddr_t m)
{
	return (mfn_t){m.v >> PAGE_SHIFT};
}
