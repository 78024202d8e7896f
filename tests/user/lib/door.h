/*
 * A door: all registers that a program owns, as they go into the kernel and as they come back.
 *
 * door_go() fills the CPU from `in` and jumps to the way; a way goes into the kernel once and jumps
 * to door_left, in assembly, which stores the CPU to `out`. Between the two r15 points to the door.
 */
#pragma once

#include "kernel/cpu/fpu_image.h"
#include "tests/user/lib/user.h"

#define FLAGS_FIXED 0x202 /* bit 1 and IF */
#define FLAGS_TF BIT(8)
#define FLAGS_IOPL 0x3000

#define KERNEL_POINTER 0xffffffff80200000UL
#define NON_CANONICAL 0x8000000000000000UL

enum { AX, BX, CX, DX, SI, DI, BP, R8, R9, R10, R11, R12, R13, R14, SP, FLAGS, NR_REGS };

/* door.c has the offsets. */
struct door {
	u64 in[NR_REGS], out[NR_REGS];
	u64 way, c_sp;
	u16 out_sel[4];
	u64 out_fs, out_gs; /* stored by C */
	u64 in_fs, in_gs;
	u16 in_sel[4];
	u64 unused[7];
	struct fpu_image in_fpu, out_fpu;
} __aligned(64);
static_assert(offsetof(struct door, out) == 128, "door.c");
static_assert(offsetof(struct door, way) == 256, "door.c");
static_assert(offsetof(struct door, c_sp) == 264, "door.c");
static_assert(offsetof(struct door, out_sel) == 272, "door.c");
static_assert(offsetof(struct door, in_fpu) == 384, "door.c");
static_assert(offsetof(struct door, out_fpu) == 896, "door.c");
static_assert(sizeof(struct door) == 1408, "door.c");

/* Before the first door. */
void door_init(void);
/* Choose everything that goes in. */
void door_choose(struct door *d, struct rng *rng);
/* Go in by @way, and come back. */
void door_go(struct door *d, const char *way);
/* What is common to all that goes back to C: the bases, and selectors that C expects. */
void door_back(struct door *d);
/* Let `in` be what a system call leaves: its @result, and where it goes on at @back. */
void door_expect_syscall(struct door *d, long result, const char *back);
/* All registers are what `in` says. */
void door_check(const char *way, struct door *d);
/* All registers are zero at the first instruction of a program. */
void door_check_start(void);
