/*
 * The FPU's registers: x87, SSE and MXCSR. They are user mode's alone, because the kernel is
 * compiled without them; a context switch between user tasks saves and loads them, and a program
 * begins with fpu_initial. What lies beyond, AVX and so on, no program has: CR4.OSXSAVE is off, so
 * that its instructions are invalid and CPUID says so (AMD APM vol. 2, 11.5).
 *
 * No locks: the caller owns the image, and stays on its CPU.
 */
#pragma once

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/fpu_image.h"

/*
 * psABI 3.4.1: all exceptions masked, 64 bits of precision, round to nearest; registers are zero.
 */
extern const struct fpu_image fpu_initial;

static inline void fpu_save(struct fpu_image *f)
{
	__asm__ volatile("fxsaveq %0" : "=m"(*f));
}

/*
 * Where FXRSTOR leaves the x87 pointers alone they would be another task's: a load of our own comes
 * first, with no exception pending, which it would raise (AMD APM vol. 2, 11.4.4.4).
 */
static inline void fpu_load(const struct fpu_image *f)
{
	static const u32 zero;

	if (cpu_features.fxsave_leak)
		__asm__ volatile("fnclex; emms; fildl %0" : : "m"(zero));
	__asm__ volatile("fxrstorq %0" : : "m"(*f));
}
