# Pteron's build. `make help` tells the targets; `./pteron` sets up the machine and drives this.
#
# DEBUG=1 (the default) builds the assertions and checks in, DEBUG=0 leaves them out.

# The boot line says it, and ./pteron --version. The changelog's first section has it too: make check compares.
VERSION := 6.0

CROSS_COMPILE ?=
ifeq ($(origin CC),default)
CC := $(CROSS_COMPILE)gcc
endif
LD := $(CROSS_COMPILE)ld
NM := $(CROSS_COMPILE)nm
NASM ?= nasm
DEBUG ?= 1

# V=1 shows every command.
Q := $(if $(V),,@)

BUILD ?= build/$(notdir $(firstword $(CC)))-$(if $(filter 1,$(DEBUG)),debug,release)
IMAGE := $(BUILD)/pteron.elf
INITRD := $(BUILD)/initrd.cpio

# The interface of Xen 4.13: that of every Xen since.
DEFINES := -D__XEN_INTERFACE_VERSION__=0x00040d00 -DPTERON_VERSION=$(VERSION)
WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes \
	-Wvla -Wundef
CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -fno-common -fcf-protection=none \
	-fno-optimize-sibling-calls -I. $(DEFINES) $(WARNINGS) $(if $(filter 1,$(DEBUG)),-DCONFIG_DEBUG)
# COVERAGE=1 (./pteron coverage): these sources count which of their lines run; kernel/debug/coverage.c.
ifeq ($(COVERAGE),1)
CFLAGS += -DCONFIG_COVERAGE
COVERED := mm/% pv/%
COVERAGE_FLAGS := -fprofile-arcs -ftest-coverage -fprofile-info-section -fprofile-update=atomic
LIBGCOV := $(shell $(CC) -print-file-name=libgcov.a)
endif
NASMFLAGS := -f elf64 -g -F dwarf -I$(BUILD)/
# METER=1 (./pteron bench, for its floor): kernel/debug/meter.h and tests/bench/meter.c.
ifeq ($(METER),1)
CFLAGS += -DCONFIG_METER
NASMFLAGS += -DCONFIG_METER
endif
LDFLAGS := -nostdlib -static -z max-page-size=4096 -z noexecstack --no-warn-rwx-segments

# boot/asm_offsets.c is no source of the image: see there.
SRC := $(filter-out boot/asm_offsets.c,$(wildcard boot/*.c kernel/*/*.c mm/*/*.c pv/*/*.c drivers/*.c tests/*.c tests/unit/*/*.c tests/stress/*.c tests/bench/*.c))
ASM := $(wildcard boot/*.asm kernel/*/*.asm pv/xen/*.asm tests/bench/*.asm)
OBJ := $(SRC:%=$(BUILD)/%.o) $(ASM:%=$(BUILD)/%.o)

# Programs for ring 3: each tests/user/*.c is one, linked with the runtime in tests/user/lib.
USER_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pic -fno-stack-protector -fno-builtin \
	-fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -I. $(WARNINGS)
USER_LIB := $(patsubst %,$(BUILD)/user-%.o,$(wildcard tests/user/lib/*.c) kernel/lib/format.c kernel/lib/string.c)
USER_PROGS := $(patsubst tests/user/%.c,$(BUILD)/user/%,$(wildcard tests/user/*.c))

# Programs of Linux, with a C library: each tests/user/musl/*.c is one. Only tests run them.
MUSL_CC ?= musl-gcc
MUSL_CFLAGS := -std=gnu11 -O2 -g -static -Wall -Wextra -Werror
MUSL_PROGS := $(patsubst tests/user/musl/%.c,$(BUILD)/musl/bin/%,$(wildcard tests/user/musl/*.c))

# What a Linux that is judged runs besides: its first process, and programs that use what Pteron lacks.
JUDGE_PROGS := $(patsubst tests/user/judge/%.c,$(BUILD)/judge/%,$(wildcard tests/user/judge/*.c))

# The benchmark, for Pteron and for Linux: one program for every configuration of the kernel.
BENCH := build/bench/bench
BENCH_SRC := $(wildcard tests/user/bench/*.c)
BENCH_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 -static -no-pie -I. $(WARNINGS)

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

all: $(IMAGE) $(INITRD) ## build the kernel image and the boot module (the default)

# Objects depend on the Makefile: changed flags rebuild everything.
$(BUILD)/%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(if $(filter $(COVERED),$<),$(COVERAGE_FLAGS)) -MMD -MP -c $< -o $@

# What C and assembly share.
$(BUILD)/asm-offsets.inc: boot/asm_offsets.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $(BUILD)/asm-offsets.d -MT $@ -S $< -o $(BUILD)/asm-offsets.s
	$(Q)sed -n 's/^\t\.ascii[ \t]*"\([A-Z0-9_]*\)=\$$\(.*\)"/%define \1 (\2)/p' $(BUILD)/asm-offsets.s > $@

# NASM 2.16.01 leaves %include'd files out of -MD; a pass of its own lists them.
$(BUILD)/%.asm.o: %.asm $(BUILD)/asm-offsets.inc Makefile
	@mkdir -p $(@D)
	$(Q)$(NASM) -I$(BUILD)/ -M -MP -MT $@ $< > $(@:.o=.d)
	$(Q)$(NASM) $(NASMFLAGS) $< -o $@

$(BUILD)/user-%.c.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/user/%.o: tests/user/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/user/%: $(BUILD)/user/%.o $(USER_LIB)
	$(Q)$(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack $^ -o $@

# What is made of a list of files depends on the list: one that is deleted is in it no more. Written only if it changes.
$(BUILD)/%.list: FORCE
	@mkdir -p $(@D)
	@echo '$(LIST_$*)' | cmp -s - $@ || echo '$(LIST_$*)' > $@

LIST_objects := $(OBJ)
LIST_programs := $(USER_PROGS)
LIST_musl := $(MUSL_PROGS)

# The symbol table for backtraces is made from a first link without one. Only .text is in it, which
# comes first in the image, so the addresses hold in the second link; the last command checks that.
$(IMAGE): $(OBJ) $(BUILD)/objects.list linker.ld kernel/debug/ksyms.awk Makefile
	$(Q)awk -f kernel/debug/ksyms.awk < /dev/null > $(BUILD)/ksyms0.c
	$(Q)$(CC) $(CFLAGS) -c $(BUILD)/ksyms0.c -o $(BUILD)/ksyms0.o
	$(Q)$(LD) $(LDFLAGS) -T linker.ld $(OBJ) $(BUILD)/ksyms0.o $(LIBGCOV) -o $(BUILD)/pass1.elf
	$(Q)$(NM) -n $(BUILD)/pass1.elf | awk -f kernel/debug/ksyms.awk > $(BUILD)/ksyms.c
	$(Q)$(CC) $(CFLAGS) -c $(BUILD)/ksyms.c -o $(BUILD)/ksyms.o
	$(Q)$(LD) $(LDFLAGS) -T linker.ld $(OBJ) $(BUILD)/ksyms.o $(LIBGCOV) -o $@.tmp
	$(Q)$(NM) -n $@.tmp | awk -f kernel/debug/ksyms.awk | cmp -s - $(BUILD)/ksyms.c
	$(Q)mv $@.tmp $@

$(INITRD): $(USER_PROGS) $(BUILD)/programs.list
	$(Q)cd $(BUILD)/user && printf '%s\n' $(notdir $(USER_PROGS)) | cpio --quiet -o -H newc > ../initrd.cpio

$(BUILD)/musl/bin/%: tests/user/musl/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_CFLAGS) $< -o $@

$(BUILD)/musl.cpio: $(MUSL_PROGS) $(BUILD)/musl.list
	$(Q)cd $(BUILD)/musl && printf '%s\n' . bin $(MUSL_PROGS:$(BUILD)/musl/%=%) | cpio --quiet -o -H newc > ../musl.cpio

musl: $(BUILD)/musl.cpio ## programs that need a C library, with musl (for tests)

$(BUILD)/judge/init: tests/user/judge/init.c Makefile
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(MUSL_CFLAGS) $< -o $@

$(BUILD)/judge/%.o: tests/user/judge/%.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(USER_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/judge/%: $(BUILD)/judge/%.o $(USER_LIB)
	$(Q)$(LD) -nostdlib -static -z max-page-size=4096 -z noexecstack $^ -o $@

judge-programs: $(JUDGE_PROGS) $(USER_PROGS) ## what a Linux that is judged runs (musl-gcc)

$(BENCH): $(BENCH_SRC) $(wildcard tests/user/bench/*.h) Makefile
	@mkdir -p $(@D)
	$(Q)$(MUSL_CC) $(BENCH_CFLAGS) $(BENCH_SRC) -o $@

bench-program: $(BENCH) ## build the benchmark that runs on Pteron and on Linux (musl-gcc)

-include $(BUILD)/asm-offsets.d $(OBJ:.o=.d) $(USER_LIB:.o=.d) $(USER_PROGS:=.d) $(JUDGE_PROGS:=.d)

include tests/check.mk

compile_commands.json: Makefile ## for editors and clang's tools: how each source is compiled
	$(Q)python3 -c 'import json, os, sys; flags = sys.argv[1].split(); print(json.dumps([{"directory": os.getcwd(), "file": f, \
	"arguments": [*flags, "-c", f]} for f in sys.argv[2:]], indent=1))' "$(CC) $(CFLAGS)" $(SRC) > $@

# The harness says what --help says, of each command too; help2man makes troff of it.
man: ## the manual page, build/pteron.1, from --help (Debian's help2man)
	@mkdir -p build
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 help2man --no-info --section=1 --manual=Pteron \
		--name="page tables changed in batches, and a kernel that tests it" --output=build/pteron.1 "python3 -m harness.man"
	@echo build/pteron.1

hooks: ## before each commit: format, rooms, links, seeded bugs that fit
	$(Q)printf '%s\n' '#!/bin/sh' 'exec make check-format check-rooms check-links check-bugs' > "$$(git rev-parse --git-path hooks)/pre-commit"
	$(Q)chmod +x "$$(git rev-parse --git-path hooks)/pre-commit"

clean: ## remove everything that was built
	rm -rf build

help: ## this text
	@echo "make [TARGET] [CC=clang] [CROSS_COMPILE=prefix-] [DEBUG=0]"
	@awk -F': .*## ' '/^[a-z_.-]+:.*## / {printf "  %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

FORCE:

.PHONY: all musl judge-programs bench-program man hooks clean help FORCE
