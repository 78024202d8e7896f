/* What a task remembers of its faults: fault_loop.h. */
#pragma once

#include "kernel/lib/types.h"

struct fault_progress {
#ifdef CONFIG_DEBUG
	unsigned long ip, addr, left; /* of the last fault that was served */
	u32 faults;		      /* how many there were like it, in a row */
	bool stepping;		      /* the trap flag is set, and is ours */
#endif
};
