/*
 * The kernel half of the virtual address space. Assembly takes these numbers from here
 * (boot/asm_offsets.c); the linker script has KERNEL_BASE, too, and asserts that it is the same.
 *
 *   0 .. USER_END                   user, one mm each
 *   0xffff800000000000 + 8 TiB      never used: Xen keeps this range for itself in a PV guest
 *   DIRECT_MAP                      all guest-physical memory, read-write, no-execute
 *   FIXMAP                          device registers (local APIC, I/O memory of the boot path)
 *   KSTACK_AREA                     kernel stacks, a guard page below each
 *   XEN_P2M                         on Xen: machine frames by guest frame, put there by Xen
 *   SOFT_WINDOW                     all memory once more, for the software hypervisor (pv/soft)
 *   KERNEL_BASE                     the image: text r-x, rodata r--, data rw-
 */
#pragma once

#define USER_END 0x00007ffffffff000UL
#define DIRECT_MAP 0xffff888000000000UL
#define DIRECT_MAP_SIZE (64UL << 40)
#define FIXMAP 0xffffc80000000000UL
#define KSTACK_AREA 0xffffc90000000000UL
#define XEN_P2M 0xffffca0000000000UL
#define SOFT_WINDOW 0xffffcb0000000000UL
#define KERNEL_BASE 0xffffffff80000000UL

/* Physical: where the other CPUs begin, in real mode; a page below 1 MiB. */
#define TRAMPOLINE 0x8000UL
