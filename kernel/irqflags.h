/*
 * Interrupts on this CPU, through the pv table: a Xen PV guest masks events in shared memory.
 */
#pragma once

#include "pv/pv_ops.h"

#define FLAGS_TF BIT(8)
#define FLAGS_IF BIT(9)

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
