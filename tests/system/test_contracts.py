"""harness/contracts.py: which declarations of a header count, and what is a contract of one."""

import pytest

from harness import contracts


def found(text: str) -> dict[str, bool]:
    return {name: has for name, _, has in contracts.prototypes(text)}


@pytest.mark.parametrize("text, expected", [
    ("/* What it does. */\nint f(int a);\n", {"f": True}),
    ("/*\n * What it does.\n */\nstruct x *f(void) __must_hold(lock);\n", {"f": True}),
    ("int f(int a); /* what it does */\n", {"f": True}),
    ("int f(int a);\n", {"f": False}),
    ("/* Of something else. */\n\nint f(int a);\n", {"f": False}),
    ("/* What it does. */\nint f(int a);\nlong g(void);\n", {"f": True, "g": False}),
    ("/* Each as C has it. */\nint f(int a);\nlong g(void);\n\nvoid h(void);\n", {"f": True, "g": True, "h": False}),
    ("/* Each as C has it. */\nint f(int a);\n/* Not this. */\nlong g(void);\nvoid h(void);\n", {"f": True, "g": True, "h": False}),
    ("/* file.c */\nint f(int a);\n", {"f": False}),
    ("/* file.c: of this and that. */\nvoid f(void (*fn)(int a, void (*g)(void)), void *arg) __printf(1, 2) __noreturn;\n", {"f": False}),
    ("static inline int f(int a)\n{\n\treturn g(a);\n}\n", {}),
    ("#define F(a) g(a);\n#define G(a) \\\n\tg(a);\ntypedef void (*h)(int a);\nextern int (*i)(void);\n", {}),
    ("__callee_save unsigned long f(void);\n", {"f": False}),
])
def test_contracts(text, expected):
    assert found(text) == expected


def test_a_declaration_without_one_is_named(tmp_path):
    (tmp_path / "mm/lazy").mkdir(parents=True)
    (tmp_path / "mm/lazy/x.h").write_text("#pragma once\n\n/* This. */\nint f(void);\n\nint g(void);\n")
    n, without = contracts.missing(tmp_path)
    assert n == 2 and len(without) == 1 and without[0].startswith("mm/lazy/x.h:6: g() has no contract")
