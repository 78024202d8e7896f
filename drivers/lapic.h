/* The local APIC, in x2APIC mode where the CPU has it, else by memory (xAPIC). */
#pragma once

#include "kernel/lib/types.h"

#define LAPIC_VECTOR_NMI 2 /* send_ipi with this vector sends an NMI */

/* Boot CPU: find the registers. Before the final direct map is loaded. */
void lapic_map(u64 address);
/* Each CPU. The first one also measures the timer. */
void lapic_init_cpu(void);
/* CPU numbers are Pteron's; this tells their APIC IDs. */
void lapic_set_id(unsigned cpu, u32 apic_id);
/* The APIC ID of the CPU that asks. After lapic_map(). */
u32 lapic_id(void);

/* Interrupt @cpu, which lapic_set_id() knows, by @vector; LAPIC_VECTOR_NMI: by an NMI. */
void lapic_send_ipi(unsigned cpu, u8 vector);
/* Reset @cpu: it waits for lapic_send_startup(). */
void lapic_send_init(unsigned cpu);
/* @page: of the real-mode code, below 1 MiB. */
void lapic_send_startup(unsigned cpu, u8 page);
/* At the end of an interrupt that came by the local APIC. */
void lapic_eoi(void);
/* One timer interrupt, in @ns. */
void lapic_set_timer(u64 ns);
