/* Starting a program: a static ELF64 of the boot module. */
#pragma once

#include "kernel/arch/ptregs.h"
#include "mm/frame/slab.h"

#define EXEC_ARGS_MAX 32
#define EXEC_TEXT_MAX 768

/* The program's name and arguments, copied. */
struct exec_args {
	unsigned argc;
	size_t len;
	char text[EXEC_TEXT_MAX]; /* the arguments, each with its terminator */
};
extern struct kmem_cache exec_args_cache;

/* NULL: no memory, or more arguments than fit, which is said. */
struct exec_args *exec_args_alloc(const char *const argv[]);
/*
 * Load the program into the current task's mm, which is empty, and set @regs to its start. 0, or a
 * negative error after saying what is wrong with the file.
 */
int exec_load(const struct exec_args *args, struct pt_regs *regs);
