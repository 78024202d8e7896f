"""The commands for gdb that know the kernel (tests/harness/gdb_pteron.py), natively and on Xen."""

import re
import subprocess

import pytest

from harness.catalogue import ROOT

ELF_MAGIC = "0x464c457f"  # of the page at 0x400000, where programs begin
FOLLOW = "python gdb.execute('x/1xw ' + gdb.execute('pteron-walk 0x400000', to_string=True).split()[-1])"


def gdb(*commands, where=()):
    """What gdb says to @commands, after the kernel's first instruction."""
    words = [word for c in commands for word in ("--gdb-arg=-ex", f"--gdb-arg={c}")]
    done = subprocess.run(["./pteron", "gdb", "--deterministic", "--suite", "zap", *where, "--gdb-arg=-batch", *words],
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and "Python Exception" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("where", [["--backend", "deferred"], ["--on", "xen"]])
def test_in_a_section(where):
    """Stopped where a section queues the first update of a table, when all processes have begun."""
    text = gdb("continue", "delete", "hbreak batch_take_table", "ignore $bpnum 40", "continue", "pteron-tasks", "pteron-lazy", "pteron-queue", "pteron-locks",
               "pteron-mm", "pteron-walk 0x400000", FOLLOW, where=where)
    assert re.search(r"^ +\d+ main +cpu \d +blocked, waits for wait queue 0xffffffff", text, re.M), text
    assert re.search(r"^ +\d+ zap +cpu \d +running$", text, re.M), text
    assert re.search(r"^task \d+ \w+: 1 sections, 0 pauses", text, re.M), text
    assert re.search(r"^cpu 0: \d+ updates, owes", text, re.M) and re.search(r"^cpu 1: \d+ updates, owes", text, re.M)
    assert re.search(r"^task \d+ \w+: LOCK_PTE at 0xffff8880", text, re.M), text
    assert re.search(r"^  0x400000-0x401000 r---$", text, re.M), text
    assert [line[:2] for line in text.splitlines() if re.match(r"L\d table", line)] == ["L4", "L3", "L2", "L1"], text
    assert ELF_MAGIC in text, text


def test_a_queue_names_who_queued():
    """At the issue of a queue of the deferred backend: entries, and callers by name."""
    text = gdb("continue", "delete", "hbreak soft_issue", "continue", "pteron-queue", where=["--backend", "deferred"])
    assert re.search(r"^  0x[0-9a-f]+ (keeping A and D )?= [0-9a-f]{16} by \w+", text, re.M), text


def test_what_cannot_be_is_said():
    text = gdb("continue", "pteron-mm", "pteron-mm 77", "pteron-walk", "pteron-program nothing", "pteron-walk 0x8000000000000000",
               "pteron-queue x", "pteron-queue 9", "pteron", "pteron-program zap", "info address program_main")
    for says in ("on no task's stack", "there is no task 77", "pteron-walk ADDRESS", "there is no file 'nothing'",
                 "pteron-queue [CPU]: the updates", "symbols of ", 'Symbol "program_main" is', "is not canonical", "'x' is no number", "CPU 9 is not online"):
        assert says in text, says
