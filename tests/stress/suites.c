/*
 * The stress suites that are a program of tests/user/, run in several processes.
 *
 * Each row has an oracle of its own, which its program checks in ring 3 (tests/user/NAME.c says it
 * in full), besides those of stress.h. Suites that also look at something in the kernel, or run
 * more than one program, are in files of their own.
 */
#include "tests/stress/stress.h"

/* Pages that are written for the first time while they are dropped. The kernel's dirty ledger. */
STRESS_SUITE(dirty, "dirty", "pages written while they are dropped", .processes = 1, .pages = 300,
	     .rounds = 60, MUST_COUNT(CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS));

/*
 * Several threads take the same pages away at once, and none may return before all CPUs know; and
 * pages are copied on write under the eyes of others. Preemption points preempt often: what stands
 * between an unlock and a flush, or between a new entry and its flush, shows then.
 */
STRESS_SUITE(early, "early", "who takes pages away second must not return first", .processes = 1,
	     .rounds = 5, .tuning = {.point_permille = 100},
	     MUST_COUNT(CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS));

/* No write is lost to a page that another CPU's fault has replaced, private or shared. */
STRESS_SUITE(fault, "fault", "CPUs fault the same and neighbouring pages", .processes = 2,
	     .pages = 512, .rounds = 500, MUST_COUNT(CNT_PAGE_FAULTS, CNT_LAZY_SECTIONS));

/* Parent and child never see what the other wrote after the fork. */
STRESS_SUITE(fork, "fork", "copy-on-write storms, forks of threaded processes", .processes = 2,
	     .pages = 700, .rounds = 200, MUST_COUNT(CNT_FORKS, CNT_COW_COPIES, CNT_COW_REUSES));

/*
 * Every number with hostile arguments, jumps to bad addresses, every `int n`: the kernel's half
 * stays unreadable. `--rounds 4000` makes some hundred thousand calls.
 */
STRESS_SUITE(fuzz_syscalls, "fuzz-syscalls", "hostile system calls, jumps and interrupts",
	     .processes = 2, .pages = 64, .rounds = 24,
	     MUST_COUNT(CNT_PAGE_FAULTS, CNT_REFUSED_FAULTS));

/* A model of each thread's memory agrees with it after every step. */
STRESS_SUITE(mix, "mix", "every operation at once, in random sizes", .processes = 3, .pages = 2600,
	     .rounds = 700, MUST_COUNT(CNT_FORKS, CNT_SHOOTDOWNS));

/* Once mprotect has returned, every CPU sees the rights that it set. */
STRESS_SUITE(mprotect, "mprotect", "rights change while other CPUs probe them", .processes = 2,
	     .pages = 1400, .rounds = 300, .tuning = {.migrate_permille = 100},
	     MUST_COUNT(CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS));

/* Mappings move in shared PTE pages: contents follow their mapping, and nothing stays behind. */
STRESS_SUITE(mremap, "mremap", "mappings move in shared PTE pages", .processes = 2, .pages = 1500,
	     .rounds = 300, MUST_COUNT(CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS));

/*
 * Pages and registers of a thread are what they were before it slept for a random time; on Linux
 * such threads have a real-time priority (tests/harness/judge).
 */
STRESS_SUITE(preempt, "preempt", "timers at random moments, pages that change under them",
	     .processes = 2, .pages = 64, .rounds = 30,
	     MUST_COUNT(CNT_LAZY_SECTIONS, CNT_SHOOTDOWNS));

/* Processes map the frames of one device: each mapping shows the frames that were asked for. */
STRESS_SUITE(remap, "remap", "fixed frames are mapped by several processes", .processes = 3,
	     .pages = 512, .rounds = 150, MUST_COUNT(CNT_DEVICE_PAGES));

/*
 * A parent and its children; a model of bytes in ring 3. The rounds are groups of the longer
 * sequences, from one on that the seed chooses; tests/system/test_sequences.py asks for all.
 */
STRESS_SUITE(sequences, "sequences", "all short sequences of operations on one table",
	     .processes = 1, .rounds = 12,
	     MUST_COUNT(CNT_TABLES_PROTECTED, CNT_TABLES_PUSHED_DOWN, CNT_TABLES_FILLED,
			CNT_TABLES_DROPPED, CNT_TABLES_MOVED));

/* A fault that was overtaken by its own repair is never taken for an error. */
STRESS_SUITE(spurious, "spurious", "faults while a permission upgrade is pending", .processes = 2,
	     .pages = 256, .rounds = 60, MUST_COUNT(CNT_SPURIOUS_FAULTS, CNT_REFUSED_FAULTS));

/*
 * Threads extend one stack by faults while others protect, drop, fork and map around it: stamps,
 * and the gap below the stack.
 */
STRESS_SUITE(stack, "stack", "stacks grow under threads that change them", .processes = 2,
	     .pages = 512, .rounds = 40, MUST_COUNT(CNT_LAZY_SECTIONS, CNT_MMAP_LOCK_FAULTS));

/* Pages are taken away while other CPUs look at them from user mode. */
STRESS_SUITE(stare, "stare", "pages taken away while others look at them", .processes = 1,
	     .rounds = 20, MUST_COUNT(CNT_SHOOTDOWNS));

/* What is announced of a block is what every CPU sees, and contents stay with their owner. */
STRESS_SUITE(tables, "tables", "whole page tables change while others use them", .processes = 2,
	     .pages = 128, .rounds = 100,
	     MUST_COUNT(CNT_TABLES_PROTECTED, CNT_TABLES_PUSHED_DOWN, CNT_TABLES_FILLED,
			CNT_TABLES_DROPPED, CNT_TABLES_MOVED));

/*
 * On Xen user mode has an L4 table of its own, which must follow the kernel's at once (seeded bug
 * user-l4-forgotten).
 */
STRESS_SUITE(usertable, "usertable", "new L4 slots, reached from user mode first", .processes = 2,
	     .rounds = 150, MUST_COUNT(CNT_FORKS));

/* Threads come and go in bursts: stacks of the kernel and what threads leave to their successors. */
STRESS_SUITE(vmap, "vmap", "threads in bursts, so that stacks come and go", .processes = 2,
	     .rounds = 40, MUST_COUNT(CNT_PAGE_FAULTS));

/* What was dropped is never seen again. */
STRESS_SUITE(zap, "zap", "pages are dropped while other CPUs use them", .processes = 2,
	     .pages = 1200, .rounds = 150, MUST_COUNT(CNT_SHOOTDOWNS, CNT_LAZY_SECTIONS));
