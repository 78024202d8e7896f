/*
 * The history of one user page: what the trace (kernel/debug/trace.h) has of its address, and of
 * its frame in any address space. Debug builds only.
 */
#pragma once

#include "kernel/debug/trace.h"
#include "mm/mm.h"

#ifdef CONFIG_DEBUG
/* Print the history of the page at @addr in @mm. */
void page_history_print(const struct mm *mm, unsigned long addr);
/* Up to @max events of that history, oldest first; how many there are in @out. */
unsigned page_history_collect(const struct mm *mm, unsigned long addr, struct trace_event *out,
			      unsigned max);
#else
static inline void page_history_print(const struct mm *mm __unused, unsigned long addr __unused) {}
#endif
