/*
 * What Linux has and Pteron has not.
 */
#pragma once

#include "kernel/lib/compiler.h"

/*
 * Refuse it: returns -@error. The reason, which begins with the name of the call, is printed once,
 * with the name of the program that met it first.
 */
long unsupported(int error, const char *reason, ...) __printf(2, 3);
