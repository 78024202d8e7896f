# The static checks: `make check`. Each target says what rule it holds.

FORMATTED := $(wildcard boot/*.[ch] kernel/*/*.[ch] mm/*.h mm/*/*.[ch] pv/*.h pv/*/*.[ch] drivers/*.[ch] tests/*.[ch] \
	tests/*/*.[ch] tests/unit/*/*.[ch] tests/user/*/*.[ch])
CLANG ?= clang
CLANG_FORMAT ?= clang-format
CLANG_TIDY ?= clang-tidy
TSA_FLAGS := -std=gnu11 -ffreestanding -mcmodel=kernel -mgeneral-regs-only -I. $(DEFINES) -DCONFIG_DEBUG \
	-fsyntax-only -Werror

check: check-thread-safety check-exemptions check-negative check-rooms check-names check-bugs check-links check-version check-contracts check-syscalls check-figures check-words check-format check-shell ## every static check

# The rules of lazy sections and locks, at compile time; and no variable is read before it has a
# value, which gcc does not always see.
check-thread-safety:
	$(Q)for f in $(SRC); do $(CLANG) $(TSA_FLAGS) -Wthread-safety -Wuninitialized $$f || exit 1; done
	@echo "thread safety: $(words $(SRC)) files"

# Whoever is exempt from them says why.
check-exemptions:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.exemptions

# The same rules must fail where they are broken: each sample says in its first line what clang says.
check-negative:
	$(Q)CLANG="$(CLANG)" TSA_FLAGS="$(TSA_FLAGS)" sh tests/check_negative.sh

# Who may include whom.
check-rooms:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.rooms

# No two files define a static function or variable of the same name: a backtrace means one place.
check-names:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.names

# Each seeded bug of tests/bugs fits the tree.
check-bugs:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.bug_files

# Each link of the documents leads somewhere.
check-links:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.links

# The changelog begins with the version that the Makefile has.
check-version:
	$(Q)[ "$$(sed -n 's/^## \([^ ]*\).*/\1/p' CHANGELOG.md | head -n 1)" = "$(VERSION)" ] || \
		{ echo "CHANGELOG.md: the first section is not that of version $(VERSION), the Makefile's" >&2; exit 1; }
	@echo "version: $(VERSION)"

# Each function of a header has a contract.
check-contracts:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.contracts

# The document on the system calls says what the code does.
check-syscalls:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.syscalls --check

# The figures of the documents are those that commands have left in docs/figures; no running text names a commit. (Sixteen
# digits are an address.)
check-figures:
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.figures --check
	$(Q)! grep -nE '(commit|at) `?([0-9a-f]{7,15}|[0-9a-f]{17,40})\b' README.md CONTRIBUTING.md CHANGELOG.md docs/*.md

# No message of the kernel begins with a string, which could be a name that a program chose: that of a task.
check-words:
	$(Q)! grep -nE '(pr_info|printk)\("(# ?)?%[-.*0-9]*[sc]' $(filter-out tests/%,$(SRC))
	@echo "words: clean"

# Each version of the two tools wants something else; the tree is as this one has it.
LLVM_TOOLS := 14
# To be put before a command: with another version of tool $(1) the command is left out, and it is said.
by_version = if ! $(1) --version | grep -q ' version $(LLVM_TOOLS)\.'; then \
	echo "$@: skipped; the tree is as version $(LLVM_TOOLS) of $(1) has it, and here is another"; exit $(2); fi;

check-format:
	$(Q)$(call by_version,$(CLANG_FORMAT),0) $(CLANG_FORMAT) --dry-run -Werror $(FORMATTED) && \
		echo "format: $(words $(FORMATTED)) files"

check-shell:
	$(Q)shellcheck pteron .ci/run tests/*.sh
	@echo "shell: clean"

tidy: ## what clang-tidy finds (.clang-tidy says what it looks for)
	$(Q)$(call by_version,$(CLANG_TIDY),0) printf '%s\n' $(SRC) | xargs -P "$$(nproc)" -n 8 sh -c '$(CLANG_TIDY) --config-file=.clang-tidy --quiet "$$@" -- $(filter-out -fsyntax-only -Werror,$(TSA_FLAGS)) 2> /dev/null' sh && \
		echo "tidy: $(words $(SRC)) files"

docs: ## write what the documents have of code and figures
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.syscalls
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m harness.figures
	$(Q)PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m harness.charts

format: ## format all C files
	$(Q)$(call by_version,$(CLANG_FORMAT),1) $(CLANG_FORMAT) -i $(FORMATTED)

# The pure parts, on the host, under sanitizers. Built like any program, with the C library.
HOST_CFLAGS := -std=gnu11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-builtin \
	-Wno-macro-redefined -Itests/host/shim -I. -Wall -Wextra -Werror -DCONFIG_DEBUG
HOST_SRC := $(wildcard tests/host/*.c) mm/vma/vma.c kernel/lib/cpio.c kernel/param/boot_info.c kernel/param/cmdline.c kernel/sched/timeout_heap.c kernel/time/clock_measure.c kernel/time/clock_cpuid.c drivers/rtc.c tests/unit/vma/vma.c tests/unit/sched/timeout_heap.c tests/unit/time/clock_rate.c

build/host/unit: $(HOST_SRC) $(wildcard boot/*.h kernel/*/*.h mm/*.h mm/*/*.h tests/host/shim/*/*.h tests/host/shim/*/*/*.h) Makefile tests/check.mk
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(HOST_CFLAGS) $(HOST_SRC) -o $@

host-test: build/host/unit ## unit tests of the pure parts, under ASan and UBSan
	$(Q)./build/host/unit

.PHONY: check check-thread-safety check-exemptions check-negative check-rooms check-names check-bugs check-links check-version check-contracts check-syscalls check-figures check-words check-format check-shell tidy docs format host-test
