/*
 * Audits: does what the page tables say agree with everything else? While every user task is
 * frozen.
 */
#pragma once

#include "kernel/lib/types.h"

struct shmem;
struct task;

/*
 * Walk all tables of all address spaces and check
 *   - each table is a page-table page of its level and of its mm, and upper levels grant
 * everything;
 *   - each entry lies in a VMA, has no right that the VMA has not, and maps what the VMA maps;
 *   - the VMAs of each mm lie in order, none is locked, and the mm counts them and their pages;
 *   - the reference count of each user page equals the entries that map it, plus a shared object's,
 *     and is not 0;
 *   - the references of each shared object are the VMAs and the futex waits that hold it;
 *   - every other frame is found once: linked, in reserve, a slab's, a stack's, a shared object's,
 *     free; the tables in reserve are empty, free frames have no flags, slabs are whole, and the
 *     counts of each kind of frame are right.
 * Prints each violation (at most 16); how many there were.
 */
unsigned audit_all(void);
/*
 * What a task holds of shared objects beside its VMAs: @of_task gives the object, or NULL. Set once
 * at boot, by whoever gives tasks such references (futex.c).
 */
void audit_count_holders(const struct shmem *(*of_task)(const struct task *t));
/* The references of shared objects alone. */
unsigned audit_shared_objects(void);
/* Tests: the first violation that the last audit found, in words; not one of the backend's. */
extern char audit_first[200];
