/* Resource limits of a process; Linux's numbers and defaults. */
#pragma once

#include "kernel/lib/types.h"

#define RLIMIT_CPU 0
#define RLIMIT_DATA 2
#define RLIMIT_STACK 3
#define RLIMIT_CORE 4
#define RLIMIT_NOFILE 7
#define RLIMIT_MEMLOCK 8
#define RLIMIT_AS 9
#define RLIMIT_MSGQUEUE 12
#define RLIMIT_NICE 13
#define RLIMIT_RTPRIO 14
#define NR_RLIMITS 16
#define RLIM_INFINITY (~0UL)

struct rlimit {
	u64 cur, max;
};

/* Those of a process that the kernel starts. */
void rlimits_init(struct rlimit limits[NR_RLIMITS]);
