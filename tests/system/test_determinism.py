"""Exact repetition, the trace, and what a failure leaves: same seed, same bytes."""

import os
import re
import subprocess
from dataclasses import replace

import pytest

from harness import catalogue
from harness.catalogue import ROOT
from harness.machine import Config
from harness.runner import run
from harness.tree import build_of

ICOUNT = 4
WAYS = [("qemu", "native"), ("qemu", "deferred"), ("qemu", "shadow"), ("xen", "xen")]
FRONT_DOOR = {**os.environ, "PTERON_CALLER": str(ROOT)}


def pteron(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "pteron", *args], capture_output=True, text=True, check=False, cwd=ROOT,
                          env=FRONT_DOOR)


@pytest.mark.parametrize("on,backend", WAYS)
def test_same_seed_same_bytes(boot, on, backend):
    def once() -> list[str]:
        result = boot(on=on, backend=backend, cpus=4, suite="zap,mix", rounds=5, seed=7, icount=ICOUNT)
        assert result.verdict == "passed", result.told()
        assert result.output.counters["sections_preempted"] > 0
        return result.output.lines

    assert once() == once()


def test_other_seed_other_order(boot):
    orders = {boot(backend="deferred", cpus=4, suite="zap", rounds=3, seed=seed, icount=ICOUNT).output.lock_order
              for seed in range(1, 5)}
    assert len(orders) == 4 and "" not in orders


def test_seeds_say_how_many_orders():
    done = pteron("run", "--cpus", "4", "--suite", "zap", "--rounds", "3", "--deterministic", "--seeds", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 runs: 3 passed; 3 distinct orders of lock acquisitions" in done.stdout


def failing(on: str = "qemu") -> Config:
    """A run that fails in ring 3, of what it finds in a page: no assertion of the kernel is before it."""
    backend, bug = {"qemu": ("deferred", "flush-before-updates"), "xen": ("xen", "flush-only-here")}[on]
    build = build_of(catalogue.bug(bug))
    build.make()
    return Config(build=build, on=on, backend=backend, cpus=4, suite="stare", bug=bug, icount=ICOUNT, rounds=25)


@pytest.mark.parametrize("on", ["qemu", "xen"])
def test_failure_shows_the_page_and_replays(on, tmp_path):
    first = run(failing(on))
    text = "\n".join(first.output.lines)
    print(text)
    assert first.verdict == "failed"
    assert "# FAIL stare" in text and "history of the page at" in text
    history = text[text.index("history of the page at"):text.index("# FAIL stare")]
    assert " clear_pte " in history and " flush_tlb " in history
    log = tmp_path / "log"
    log.write_text(text + "\n# replay: " + first.config.replay() + "\n", encoding="utf-8")
    again = pteron("replay", str(log))
    assert again.returncode == 1
    silent = ("# counter ", "# batch ", "# trace ")
    said = [line for line in first.output.lines if not line.startswith(silent)]
    assert again.stdout.splitlines()[:len(said)] == said


def test_replay_with_gdb_stops_at_the_failure():
    done = pteron("replay", "--gdb", "--gdb-arg=-batch", failing().replay())
    assert re.search(r"hit Breakpoint \d+, __x64_sys_page_history", done.stdout), done.stdout


@pytest.mark.parametrize("text,said", [("nothing here", "holds no replay line"),
                                       ("./pteron run --seed 1\n./pteron run --seed 2", "2 different replay lines")])
def test_replay_names_what_is_wrong(text, said):
    done = pteron("replay", text)
    assert done.returncode == 2 and said in done.stderr


def test_seed_alone_differs():
    """The configuration's replay line carries all that decides a run."""
    one = failing()
    assert replace(one, seed=2).replay() == one.replay().replace("--seed 1", "--seed 2")
