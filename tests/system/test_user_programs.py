"""The ring-3 programs on Linux: their own oracles must hold on a kernel that is known to be right."""

import subprocess

import pytest

PROGRAMS = ["syscalls", "fault", "mprotect", "zap", "mremap", "fork", "remap", "spurious", "mix", "usertable", "sparse", "stare", "tables",
            "dirty", "sequences", "doors", "vmap", "preempt",
            "stack", "early", "fuzz_syscalls", "oom"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_runs_on_linux(debug, program):
    # seed, rounds, threads, pages, index
    done = subprocess.run([debug.directory / "user" / program, "7", "12", "4", "512", "0"],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


def test_a_program_can_fail(debug):
    """fault insists on a power of two: what a failing program looks like."""
    done = subprocess.run([debug.directory / "user" / "fault", "1", "1", "2", "100"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "FAIL fault" in done.stdout
