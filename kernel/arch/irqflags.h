/*
 * Interrupts on this CPU, through the pv table: a Xen PV guest masks events in shared memory.
 */
#pragma once

#include "pv/pv_ops.h"

/* RFLAGS: AMD APM vol. 2, 3.1.6. */
/* CF, PF, AF, ZF, SF, OF. */
#define FLAGS_STATUS (BIT(0) | BIT(2) | BIT(4) | BIT(6) | BIT(7) | BIT(11))
#define FLAGS_TF BIT(8)
#define FLAGS_IF BIT(9)
#define FLAGS_DF BIT(10)
#define FLAGS_IOPL (BIT(12) | BIT(13))
#define FLAGS_NT BIT(14)
#define FLAGS_RF BIT(16)
#define FLAGS_VM BIT(17)
#define FLAGS_AC BIT(18)
#define FLAGS_ID BIT(21)

static inline unsigned long local_save_flags(void)
{
	return PV_CS_CALL0(irq.save_fl);
}

static inline void local_irq_disable(void)
{
	PV_CS_VCALL0(irq.irq_disable);
}

static inline void local_irq_enable(void)
{
	PV_CS_VCALL0(irq.irq_enable);
}

static inline bool irqs_disabled(void)
{
	return !(local_save_flags() & FLAGS_IF);
}

static inline unsigned long local_irq_save(void)
{
	unsigned long flags = local_save_flags();

	local_irq_disable();
	return flags;
}

static inline void local_irq_restore(unsigned long flags)
{
	if (flags & FLAGS_IF)
		local_irq_enable();
}

static inline void safe_halt(void)
{
	PV_CALL0(irq.safe_halt);
}
