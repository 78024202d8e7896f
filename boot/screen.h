/* The PC's own screen: for who boots Pteron on a machine and sees no serial port. */
#pragma once

/*
 * Boot CPU, once, after the loader's words were read and before the kernel's: if the loader left the screen in text mode,
 * it says where all output goes, and from now on shows the lines of the console that matter most. Else the console is
 * told what is not there, and nothing changes.
 */
void screen_open(void);
/* The screen's memory in the tables that stay: right after direct_map_init(). */
void screen_map(void);
