/*
 * What the FPU's registers hold at a program's first instruction; see fpu.h.
 */
#include "kernel/cpu/fpu.h"

static_assert(sizeof(struct fpu_image) == 512, "FXSAVE stores 512 bytes");
static_assert(offsetof(struct fpu_image, mxcsr) == 24, "MXCSR");
static_assert(offsetof(struct fpu_image, xmm) == 160, "XMM0");

const struct fpu_image fpu_initial = {.fcw = 0x037f, .mxcsr = 0x1f80};
