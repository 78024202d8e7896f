"""What the calls answer, row by row: tests/user/musl/answers_*.c on Pteron, on this machine's Linux and on Debian's.

Each row has the expected value in it, Linux's. A row that an older Linux answers otherwise is printed by a newer one only
(since() in answers.h); Pteron answers as Linux 6.18. In answers_random there are no expected values: it makes random sequences
of calls, and shows what memory holds after them."""

import platform
import subprocess
from pathlib import Path

import pytest

from harness import dom0
from harness.bug_files import Edit
from harness.machine import Config, Linux
from harness.runner import run
from harness.tree import EditedBuild

TABLES = ["answers_mm", "answers_process", "answers_random"]
WAYS = [("qemu", "native", 2), ("qemu", "shadow", 2), ("xen", "xen", 2)]


@pytest.fixture(scope="session")
def musl(debug):
    debug.make("musl")
    return debug.musl


def is_real_linux() -> bool:
    """A sandbox that plays Linux (gVisor) is no reference."""
    version = Path("/proc/version").read_text()
    return platform.system() == "Linux" and "gVisor" not in version and "Linux version 4.4.0 " not in version


def rows(lines: list[str]) -> list[str]:
    return [line for line in lines if ": " in line and not line.startswith(("#", "    ")) or line.endswith(" wrong")]


def by_call(lines: list[str]) -> dict[str, list[str]]:
    """The answers to each call, in order; the last line counts the rows and is left out."""
    answers: dict[str, list[str]] = {}
    for line in lines:
        if not line.endswith(" wrong"):
            call, _, answer = line.rpartition(": ")
            answers.setdefault(call, []).append(answer)
    return answers


def differences(ours: list[str], theirs: list[str]) -> list[str]:
    """Calls that both made, and that were answered in different ways."""
    a, b = by_call(ours), by_call(theirs)
    assert len(b) > 100 and set(b) <= set(a), set(b) - set(a)
    return [f"{call}: Pteron {a[call]}, Linux {b[call]}" for call in b if a[call] != b[call]]


@pytest.fixture(scope="session")
def on_pteron(musl):
    """The lines of a table on one of the WAYS, each made once."""
    made: dict[tuple, list[str]] = {}

    def lines(table: str, on: str, backend: str, cpus: int) -> list[str]:
        key = table, on, backend
        if key not in made:
            result = run(Config(on=on, backend=backend, cpus=cpus, initrd=musl.with_name("musl.cpio"),
                                program=(f"/bin/{table}",)))
            print("\n".join(result.output.lines))
            assert result.verdict == "passed" and result.output.program_end == "exited with status 0"
            made[key] = rows(result.output.lines)
        return made[key]
    return lines


@pytest.mark.parametrize("on, backend, cpus", WAYS)
@pytest.mark.parametrize("table", TABLES)
def test_pteron(on_pteron, table, on, backend, cpus):
    lines = on_pteron(table, on, backend, cpus)
    assert lines[-1].endswith(" rows, 0 wrong") and not any(line.startswith("FAIL") for line in lines)


@pytest.mark.skipif(not is_real_linux(), reason="this machine's kernel is not Linux")
@pytest.mark.parametrize("table", TABLES)
def test_this_linux(musl, on_pteron, table):
    done = subprocess.run([musl / "bin" / table], capture_output=True, text=True, timeout=60, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    assert differences(on_pteron(table, *WAYS[0]), rows(done.stdout.splitlines())) == []


def linux_init(tmp_path: Path, program: Path) -> Path:
    """An archive whose /init is @program."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "init").write_bytes(program.read_bytes())
    (tree / "init").chmod(0o755)
    archive = tmp_path / "init.cpio"
    archive.write_bytes(dom0.cpio(tree))
    return archive


@pytest.mark.parametrize("table, arguments", [
    ("answers_mm", ""), ("answers_process", ""), ("answers_random", "1 3 100 4"),
    pytest.param("answers_random", "", marks=pytest.mark.long)], ids=["answers_mm", "answers_process", "answers_random", "answers_random-all"])
def test_debians_linux(musl, on_pteron, tmp_path, table, arguments):
    """In QEMU: a reference wherever this runs. As its first process the program is process 1, which takes no fatal signal;
    so the rows run in a child. Of the random sequences some, which are the first of those that Pteron makes."""
    linux = Linux(kernel=dom0.make()[0], words=f"console=ttyS0 quiet panic=-1 -- {arguments}")
    result = run(Config(cpus=2, mem=1024, cpu="qemu64", initrd=linux_init(tmp_path, musl / "bin" / table), linux=linux))
    print("\n".join(result.output.lines))
    theirs = rows(result.output.lines)
    assert any(line.endswith(" rows, 0 wrong") for line in theirs)
    ours = on_pteron(table, *WAYS[0])
    assert differences(ours, [line for line in theirs if line.rpartition(": ")[0] in by_call(ours) or "FAIL" in line]) == []


# What a table noticed once only after a row was added for it: the mistake, and the row that is wrong then.
MISTAKES = {
    "wake-op-unsigned": (Edit("kernel/process/futex.c", "return (int)(v << 20) >> 20;", "return v;"),
                         "becomes(SET, 7, -1): 4095, expected 4294967295"),
    "wake-op-compares-unsigned": (Edit("kernel/process/futex.c", "int arg = sign_extend12(op & 0xfff);", "int arg = op & 0xfff;"),
                                  "wakes(EQ, -5, -5): 0, expected 1"),
    "wake-op-shifts-by-all": (Edit("kernel/process/futex.c", "arg = 1u << (arg & 31);", "arg = arg < 32 ? 1u << arg : 0;"),
                              "becomes(SET | SHIFTED, 7, 33): 0, expected 2"),
    "wake-op-looks-first": (Edit("kernel/process/futex.c", "return (op >> 28 & 7) <= OP_XOR;",
                                 "return (op >> 28 & 7) <= OP_XOR && (op >> 24 & 15) <= CMP_GE;"), "y: 0, expected 10"),
    "ignored-keeps-pending": (Edit("kernel/process/signal.c", "if (set && is_ignored(p, sig))", "if (set && handler == SIG_DFL && is_ignored(p, sig))"),
                              "dies(ignored_later, &term): 15, expected 512"),
    "default-keeps-pending": (Edit("kernel/process/signal.c", "if (set && is_ignored(p, sig))", "if (set && handler == SIG_IGN)"),
                              "dies(default_again, &child): 768, expected 512"),
    "ignored-forgets-the-callers": (Edit("kernel/process/signal.c", "\tlist_for_each_entry(t, &p->threads, thread_node)\n\t\t__atomic_and_fetch",
                                         "\tt = current;\n\t\t__atomic_and_fetch"), "dies(ignored_by_another, &term_here): 15, expected 0"),
    "ignored-does-not-wait": (Edit("kernel/process/signal.c", "\tif (is_taken(p, to, sig) && is_ignored(p, sig)) {",
                                   "\tif (is_ignored(p, sig)) {"), "dies(ignored_while_sent, &term): 0, expected 512"),
    "ignored-ends-late": (Edit("kernel/process/signal.c", "return due & ~ignored;", "return due;"),
                          "dies(ignored_while_sent, &term): 15, expected 512"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_noticed(musl, tmp_path, name):
    edit, row = MISTAKES[name]
    build = EditedBuild(root=tmp_path / "tree", bug=name, edits=(edit,))
    build.make()
    result = run(Config(build=build, cpus=2, initrd=musl.with_name("musl.cpio"), program=("/bin/answers_process",)))
    assert result.verdict == "failed" and any(line.startswith("FAIL") and line.endswith(row) for line in result.output.lines)
