/*
 * What FXSAVE stores and FXRSTOR loads, in 64-bit mode: AMD APM vol. 2, 11.4.4. The programs of
 * tests/user look at it, too.
 */
#pragma once

#include "kernel/lib/types.h"

struct fpu_image {
	u16 fcw, fsw;
	u8 ftw, reserved;
	u16 fop;
	u64 fip, fdp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16], xmm[16][16], unused[96];
} __aligned(16);
