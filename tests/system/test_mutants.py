"""The short form of ./pteron mutants: each seeded bug once, where it is cheapest to see; and controls.

The whole table, 20 seeds on every backend, stands in the README."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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


def _cheapest(bug: catalogue.Bug) -> Examination:
    backend = min(bug.backends, key=ORDER.index)
    return Examination(bug, backend, bug.suites, 0 if backend in ("xen", "xl") else 1)


BUGS = [_cheapest(bug) for bug in catalogue.bugs()]
LINUXS_RACES = [Examination(bug, "xen", "preempt-everywhere", 1) for bug in catalogue.bugs()
                if bug.name in ("reenter-on-enter", "reenter-on-leave")]
CONTROLS = [Examination(None, backend, suites, 0) for backend, suites in [
    ("deferred", "preempt-everywhere"), ("deferred", "dirty,stare"), ("shadow", "fault,zap"),
    ("native", "stare"), ("xen", "stare")]]


@pytest.fixture(scope="module")
def rows(request) -> Iterator[dict[Examination, Future[mutants.Row]]]:
    """What was selected, in the making on all CPUs of the host: a deterministic run keeps one busy."""
    selected = [item.callspec.params["what"] for item in request.session.items
                if item.module is request.module and hasattr(item, "callspec")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {what: pool.submit(mutants.examine, what.bug, what.backend, what.suites, SEED, what.replays)
               for what in selected}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("what", BUGS, ids=str)
def test_is_caught_and_replays(rows, what):
    row = rows[what].result()
    print(mutants.line(row))
    assert row.ok


@pytest.mark.parametrize("what", LINUXS_RACES, ids=str)
def test_linuxs_races_are_caught_on_xen(rows, what):
    row = rows[what].result()
    assert row.ok and "mm/lazy_mmu.c" in row.oracle


@pytest.mark.parametrize("what", CONTROLS, ids=str)
def test_without_a_bug_nothing_is_caught(rows, what):
    row = rows[what].result()
    assert row.ok, row


def test_a_row_that_misses_is_not_ok():
    row = mutants.Row("x", "deferred", "mix", caught=18, seeds=20, oracle="", page_faults=0, replay="")
    assert not row.ok
    row.caught = 19
    assert row.ok
    row.replays, row.identical = 10, 9
    assert not row.ok
