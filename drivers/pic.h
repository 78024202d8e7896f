/* The two 8259 interrupt controllers of a PC, which Pteron does not use. */
#pragma once

/* Mask all their lines, and move their vectors away from those of exceptions. Boot CPU, once. */
void pic_disable(void);
