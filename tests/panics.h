/* Deliberate violations of the kernel's rules, to show that each is noticed: panic=NAME. */
#pragma once

#include "kernel/lib/types.h"

/* False after naming the valid ones. */
bool panics_known(const char *name);
/* Break the rule; returns only if nothing noticed it. */
void panics_run(const char *name);
