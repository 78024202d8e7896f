/*
 * Audits: does what the page tables say agree with everything else? While every user task is
 * frozen.
 */
#pragma once

#include "kernel/types.h"

/*
 * Walk all tables of all address spaces and check
 *   - each table is a page-table page of its level and of its mm, and upper levels grant
 * everything;
 *   - each entry lies in a VMA, has no right that the VMA has not, and maps what the VMA maps;
 *   - the reference count of each user page equals the entries that map it, plus a shared object's.
 * Prints each violation (at most 16); how many there were.
 */
unsigned audit_all(void);
