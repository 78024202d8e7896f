/*
 * A run: new values for entries that follow each other in one table, so that their change of rights
 * is one call.
 */
#pragma once

#include "mm/table/pgtable.h"

#define RUN_MAX PV_RUN_MAX

struct run {
	pte_t *ptep;	    /* the first */
	unsigned long addr; /* of the first */
	unsigned n;
	pte_t pte[RUN_MAX];
};

/* Change what was collected, if anything was, and begin anew. */
static inline void run_commit(struct mm *mm, struct run *run) __must_hold(ptl_role)
{
	if (run->n)
		modify_prot_commit_ptes(mm, run->addr, run->ptep, run->pte, run->n);
	run->n = 0;
}
