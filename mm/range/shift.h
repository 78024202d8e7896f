/*
 * Moving what whole PTE pages map to other places of PTE pages.
 *
 * A table that nothing but the moved range uses is taken out: unlinked, invalidated, plain memory.
 * Its entries are then copied into images, the tables of the new place, which are linked when they
 * are complete. Where a table holds the first part of an image, it becomes that image itself; so a
 * run of n tables needs one more, which is reserved in a first pass.
 *
 * Lock: mmap_lock, held for writing from shift_reserve() to shift_finish(). So nobody faults on
 * what is in neither place. That no neighbour has made a table at the new place is seen under
 * page_table_lock.
 */
#pragma once

#include "mm/table/pgtable.h"

#define SHIFT_TABLES_MAX 16 /* that are taken out together: one change and one invalidation */

/* What a table maps: [addr, addr + len), which goes to @new. */
struct shifted {
	pmd_t *pmd;
	unsigned long addr, new, len;
};

struct shift {
	struct mm *mm;
	struct page *spare;	 /* reserved tables, plain, by next_free */
	unsigned long image_end; /* first pass: of the block of the image that is open */
	/* Second pass: what is collected, and the tables still linked. */
	unsigned n;
	struct shifted table[SHIFT_TABLES_MAX];
	/* The image that is being filled, or NULL; the first address that it will cover; its
	 * entries before `filled` are final. */
	struct page *image;
	unsigned long block;
	unsigned filled;
};

/* Begin: nothing is reserved or collected. mmap_lock of @mm is held for writing. */
void shift_init(struct shift *s, struct mm *mm);
/*
 * First pass, upwards: what the table that @pmd links maps shall go to [new, new + len). Reserves
 * what that needs; -ENOMEM.
 */
int shift_reserve(struct shift *s, pmd_t pmd, unsigned long new, unsigned long len);
/* First pass: it goes there by its entries. */
void shift_leave_alone(pmd_t pmd);
/* Second pass: which of the two the first has said. */
bool is_shifted(pmd_t pmd);
/* Second pass, upwards: collect a table, for whose image the upper levels exist. */
void shift_table(struct shift *s, struct shifted table);
/*
 * In the end, or when memory has run out in the first pass. What was collected is in its new place
 * on return.
 */
void shift_finish(struct shift *s);
