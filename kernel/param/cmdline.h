/*
 * The kernel command line: name=value words. What is not known, or has a bad value, is an error
 * that names the valid ones and ends the run with the verdict `usage`.
 */
#pragma once

#include "kernel/lib/types.h"

#define INIT_ARGS_MAX 32
#define INIT_TEXT_MAX 768
#define TRACE_RING_MAX 1000000000

/* How long ranges are invalidated: mm/lazy/tlb.h. */
enum tlb_flush_mode { FLUSH_BY_SEED, FLUSH_EXACT, FLUSH_CEILING };

struct boot_params {
	char backend[16];
	char suites[1024]; /* names separated by commas, or default, or all */
	char cases[256];   /* of the suites, only those of these names; empty: all */
	u64 seed;
	u64 rounds; /* 0: each suite's own */
	u64 refuse; /* 0: nothing */
	unsigned maxcpus;
	bool lazy;
	bool tables;	 /* whole tables at once: mm/range/whole_table.h */
	bool turns;	 /* the machine runs one CPU at a time, as QEMU does under -icount */
	bool neighbours; /* faults that go on populate ahead: mm/range/fault.h */
	enum tlb_flush_mode flush;
	bool shuffle;	   /* suites run in an order that the seed chooses */
	bool witness;	   /* a debug Xen counts too */
	bool trace;	   /* print all that is recorded (kernel/debug/trace.h) at the end */
	u64 ring;	   /* events of each CPU that are kept; 0: the trace's default */
	char disable[64];  /* CPU features to leave unused */
	char replay[1024]; /* the arguments of ./pteron run; quoted as in a URL on the line */
	char panic[32];	   /* a rule to break instead of running suites; tests/panics.c */
	/*
	 * A program of the module to run instead of suites; its arguments, each with its terminator
	 */
	char init[INIT_TEXT_MAX];
	unsigned init_argc;
};
extern struct boot_params boot_params;

/* Parse boot_info.cmdline into boot_params; false after printing each error. */
bool cmdline_parse(const char *line);
/* "replay: ./pteron run ...", the command that repeats this run. */
void replay_print(void);
/* Parse a whole decimal or 0x number; false if @s is anything else or too large. */
bool parse_u64(const char *s, u64 *value);
