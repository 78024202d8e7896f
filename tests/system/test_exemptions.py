"""harness/exemptions.py: who is exempt from the thread-safety analysis says why, and needs to be."""

import subprocess

import pytest

from harness import exemptions
from harness.tree import _copy_sources


@pytest.mark.parametrize("text, expected", [
    ("/* What. Not analysed: why. */\nstatic void f(int a) __no_thread_safety\n{\n", [("f", True)]),
    ("/*\n * What. Not\n * analysed: why.\n */\nint f(struct x *s)\n\t__acquires(s) __no_thread_safety\n{\n", [("f", True)]),
    ("/* What. */\nstatic void f(int a) __no_thread_safety\n{\n", [("f", False)]),
    ("/* Not analysed: why. */\n\nstatic void f(int a) __no_thread_safety\n{\n", [("f", True)]),  # the file's first comment
    ("#include <x>\n\n/* Not analysed: why. */\n\nstatic void f(int a) __no_thread_safety\n{\n", [("f", False)]),
    ("/* Not analysed: why. */\nvoid f(void) __no_thread_safety\n{\n}\n\nstruct x *g(int (*h)(int)) __no_thread_safety\n{\n",
     [("f", True), ("g", True)]),
])
def test_reasons(text, expected):
    assert [(name, says) for name, _, says, _ in exemptions.exemptions(text)] == expected


def test_whoever_says_nothing_is_named(tmp_path):
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/x.c").write_text("#define X\n\nvoid f(void) __no_thread_safety\n{\n}\n")
    n, wrong = exemptions.unexplained(tmp_path)
    assert n == 1 and len(wrong) == 1 and wrong[0].startswith("kernel/x.c:3: f() does not say why")


def test_nobody_is_exempt_who_need_not_be(tmp_path):
    """Each of them by itself is analysed, and refused. One that is planted, without need, is found."""
    _copy_sources(tmp_path)

    def analyse(name: str) -> bool:
        source = name
        if name.endswith(".h"):
            source = "includes.c"
            (tmp_path / source).write_text(f'#include "{name}"\n')
        return subprocess.run(["make", "check-thread-safety", f"SRC={source}"], cwd=tmp_path, capture_output=True, check=False).returncode == 0

    with (tmp_path / "kernel/sched/tid.c").open("a") as file:
        file.write("\nint planted(int a);\n\nint planted(int a) __no_thread_safety\n{\n\treturn a;\n}\n")
    idle = exemptions.unneeded(tmp_path, analyse)
    assert [line.split(": ")[1] for line in idle] == ["planted() need not be exempt"]
