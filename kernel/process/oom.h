/*
 * Out of memory: who ends so that the others can go on. The policy is in oom.c.
 */
#pragma once

#include "kernel/lib/types.h"

/* At boot: start the thread that decides. */
void oom_init(void);
/*
 * The current task found no memory where it cannot answer -ENOMEM: in a page fault. Sleeps until
 * there may be some. True: try again. False: the process ends, or this is a kernel thread. Nothing
 * is held.
 */
bool out_of_memory(void);
