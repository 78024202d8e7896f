/* A page fault of user memory: which VMA it is of, by which lock, and whether that permits it. */
#pragma once

#include "mm/range/fault.h"

/*
 * Make progress on an access to user address @addr of @mm, the current task's: @access is
 * FAULT_WRITE or FAULT_EXEC, or 0 for a read. Never FAULT_RETRY. No lock is held; may sleep.
 */
enum fault_result mm_fault(struct mm *mm, unsigned long addr, unsigned access);
