"""The short form of ./pteron mutants: each seeded bug once, where it is cheapest to see; and controls.

The whole table, 20 seeds on every backend, stands in the README."""

import pytest

from harness import catalogue, mutants
from harness.build import Build

SEED = [1]
# The cheapest first: xen and xl boot a hypervisor before.
ORDER = ["deferred", "native", "shadow", "xen", "xl"]
CONTROLS = [("deferred", "preempt-everywhere"), ("deferred", "dirty,stare"), ("shadow", "fault,zap"),
            ("native", "stare"), ("xen", "stare")]


@pytest.fixture(scope="module")
def build() -> Build:
    b = Build(bugs=True)
    b.make()
    return b


@pytest.mark.parametrize("bug", catalogue.bugs(), ids=lambda b: b.name)
def test_is_caught_and_replays(build, bug):
    backend = min(bug.backends, key=ORDER.index)
    row = mutants.examine(build, bug, backend, bug.suites, SEED, 0 if backend in ("xen", "xl") else 1)
    print(mutants.line(row))
    assert row.ok


@pytest.mark.parametrize("name", ["reenter-on-enter", "reenter-on-leave"])
def test_linuxs_races_are_caught_on_xen(build, name):
    bug = next(b for b in catalogue.bugs() if b.name == name)
    row = mutants.examine(build, bug, "xen", "preempt-everywhere", SEED, 1)
    assert row.ok and "mm/lazy_mmu.c" in row.oracle


@pytest.mark.parametrize("backend, suites", CONTROLS)
def test_without_a_bug_nothing_is_caught(build, backend, suites):
    row = mutants.examine(build, None, backend, suites, SEED, 0)
    assert row.ok, row


def test_a_row_that_misses_is_not_ok():
    row = mutants.Row("x", "deferred", "mix", caught=18, seeds=20, oracle="", page_faults=0, replay="")
    assert not row.ok
    row.caught = 19
    assert row.ok
    row.replays, row.identical = 10, 9
    assert not row.ok
