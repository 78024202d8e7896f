/* What the parts of the audit share: audit.c walks address spaces, audit_frames.c memory. */
#pragma once

#include "mm/frame/page.h"

struct mm;

struct audit {
	unsigned violations;
	const struct mm *mm; /* of the entry that is looked at, NULL: none is */
	unsigned long addr;
};

/* Count a violation, and print it unless there were many. */
void __printf(2, 3) audit_report(struct audit *a, const char *fmt, ...);

/*
 * Account for every frame of memory. The walk of all address spaces comes first: it has counted in
 * audit_mappings who maps and links each.
 */
void audit_frames(struct audit *a);
