"""The short form of ./pteron mutants: each seeded bug once, where it is cheapest to see; and controls. The first detection
by a suite is replayed where that is cheap: not on Xen, and not by suites that step through everything before they meet it.

The whole table, 20 seeds on every backend, stands in docs/proof.md."""

from typing import NamedTuple

import pytest

from harness import catalogue, mutants

SEED = [1]
# The cheapest first: xen and xl boot a hypervisor before.
ORDER = ["deferred", "native", "shadow", "xen", "xl"]


class Examination(NamedTuple):
    bug: catalogue.Bug | None
    backend: str
    suites: str
    replays: int

    def __str__(self) -> str:
        return f"{self.bug.name if self.bug else self.suites}-{self.backend}"


def _cheapest(bug: catalogue.Bug, replayed: set[str]) -> Examination:
    """@replayed: suites that a bug before it has; they grow."""
    backend = min(bug.backends, key=ORDER.index)
    replays = backend not in ("xen", "xl") and not stepping(bug) and bug.suites not in replayed
    replayed.add(bug.suites)
    return Examination(bug, backend, bug.suites, int(replays))


def stepping(bug: catalogue.Bug) -> bool:
    return not set(catalogue.stepping_suites().split(",")).isdisjoint(bug.suites.split(","))


_replayed: set[str] = set()
BUGS = [_cheapest(bug, _replayed) for bug in catalogue.bugs()]
LINUXS_RACES = [Examination(bug, "xen", "preempt-everywhere", 1) for bug in catalogue.bugs()
                if bug.name in ("reenter-on-enter", "reenter-on-leave")]
CONTROLS = [Examination(None, backend, suites, 0) for backend, suites in [
    ("deferred", "preempt-everywhere"), ("deferred", "dirty,stare"), ("shadow", "fault,zap"),
    ("native", "stare"), ("xen", "stare")]]


def examined(what: Examination) -> mutants.Row:
    row = mutants.examine(what.bug, what.backend, what.suites, SEED, what.replays)
    print(mutants.line(row))
    return row


@pytest.mark.parametrize("what", BUGS, ids=str)
def test_is_caught_and_replays(what):
    if why := mutants.unseen(what.bug):
        pytest.skip(why)
    assert examined(what).ok


@pytest.mark.parametrize("what", LINUXS_RACES, ids=str)
def test_linuxs_races_are_caught_on_xen(what):
    row = examined(what)
    assert row.ok and "mm/lazy/lazy_mmu.c" in row.oracle


@pytest.mark.parametrize("what", CONTROLS, ids=str)
def test_without_a_bug_nothing_is_caught(what):
    assert examined(what).ok


def test_a_row_that_misses_is_not_ok():
    row = mutants.Row("x", "deferred", "mix", caught=18, seeds=20, oracle="", page_faults=0, replay="")
    assert not row.ok
    row.caught = 19
    assert row.ok
    row.replays, row.identical = 10, 9
    assert not row.ok


@pytest.mark.parametrize("one, other, said", [
    (["a", "b"], ["a", "c"], "line 2: 'b', then 'c'"),
    (["a"], ["a", "b"], "line 2: '(nothing)', then 'b'"),
    (["a"], ["a"], ""),
])
def test_where_replays_part(one, other, said):
    assert mutants.first_difference(one, other) == said
