/*
 * Silencing the 8259s. Firmware leaves them delivering the timer as vector 8, which is that of
 * double faults; a masked one may still raise a spurious interrupt, so the vectors move as well.
 * Source: Intel 8259A data sheet, initialization command words.
 */
#include "drivers/pic.h"

#include "kernel/arch/io.h"

#define PIC1 0x20
#define PIC2 0xa0
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 0x01
#define VECTOR_BASE 0x20
#define CASCADE_LINE 2

static void init_one(u16 port, u8 vector, u8 cascade)
{
	outb(port, ICW1_INIT_ICW4);
	outb(port + 1, vector);
	outb(port + 1, cascade);
	outb(port + 1, ICW4_8086);
	outb(port + 1, 0xff); /* mask everything */
}

void pic_disable(void)
{
	init_one(PIC1, VECTOR_BASE, 1 << CASCADE_LINE);
	init_one(PIC2, VECTOR_BASE + 8, CASCADE_LINE);
}
