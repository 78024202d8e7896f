/* Symbolised backtraces by frame pointers. */
#pragma once

#include "kernel/lib/types.h"

/* "function+0x12/0x34", or the bare address where there is no symbol. */
void symbol_name(unsigned long addr, char *buf, size_t size);
/* Print @ip and then the callers that the frame chain @bp leads to. */
void backtrace_from(unsigned long ip, unsigned long bp);
/* The address of the function named @name, or 0. */
unsigned long symbol_address(const char *name);
