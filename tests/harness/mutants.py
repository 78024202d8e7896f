"""./pteron mutants: every seeded bug, on its backends, over a number of seeds: is it caught, by what?

A run without a bug, over the same suites and seeds, must catch nothing."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass

from . import catalogue
from .build import Build
from .machine import Config
from .runner import Result, run

SHIFT = 4  # -icount: every run can be repeated exactly
CPUS = 4
ROUNDS = 25
# A fault loop or a lost wake-up shows as silence; these runs say something every second or two.
PATIENCE = 30
SETTINGS = {"native": ("qemu", "native"), "deferred": ("qemu", "deferred"), "shadow": ("qemu", "shadow"), "xen": ("xen", "xen"),
            "xl": ("xl", "xen")}


@dataclass
class Row:
    """What became of one bug on one backend."""
    bug: str
    backend: str
    suites: str
    caught: int
    seeds: int
    oracle: str        # what the first detection said
    page_faults: int   # served until the first detection; 0: unit suites take none
    replay: str

    @property
    def ok(self) -> bool:
        """Caught in at least 19 of 20 seeds; a control, in none."""
        return self.caught == 0 if not self.bug else self.caught * 20 >= self.seeds * 19


def _config(build: Build, backend: str, suites: str, seed: int, bug: str) -> Config:
    on, name = SETTINGS[backend]
    return Config(build=build, on=on, backend=name, cpus=CPUS, mem=128, suite=suites, seed=seed, bug=bug,
                  icount=SHIFT, rounds=ROUNDS)


def _oracle(result: Result) -> str:
    """The line that says what was noticed."""
    for line in result.output.lines:
        if line.startswith("# panic: "):
            return line[len("# panic: "):]
        if m := re.match(r"\s*# FAIL (.*)", line):
            return m[1]
        if m := re.match(r"    # (tests/.*)", line):
            return m[1]
    return result.verdict


def examine(build: Build, bug: catalogue.Bug | None, backend: str, suites: str, seeds: list[int]) -> Row:
    """Run @bug (None: no bug) with each seed."""
    row = Row(bug.name if bug else "", backend, suites, 0, len(seeds), "", 0, "")
    for seed in seeds:
        result = run(_config(build, backend, suites, seed, row.bug), patience=PATIENCE)
        if result.verdict == "passed":
            continue
        row.caught += 1
        if not row.oracle:
            row.oracle = _oracle(result)
            row.page_faults = result.output.counters.get("page_faults", 0)
            row.replay = result.config.replay()
    return row


def table(seeds: list[int], only: list[str], say: Callable[[str], None]) -> list[Row]:
    """Every bug of @only (all, if empty), then the controls; a line each as it comes."""
    build = Build(bugs=True)
    build.make()
    rows, controls = [], set()
    for bug in catalogue.bugs():
        if only and bug.name not in only:
            continue
        for backend in bug.backends:
            rows.append(examine(build, bug, backend, bug.suites, seeds))
            controls.update((backend, suite) for suite in bug.suites.split(","))
            say(line(rows[-1]))
    for backend in SETTINGS:
        suites = ",".join(sorted(s for b, s in controls if b == backend))
        if suites:
            rows.append(examine(build, None, backend, suites, seeds))
            say(line(rows[-1]))
    return rows


def heading() -> str:
    return f"{'bug':<22}{'backend':<10}{'caught':>8}  {'what the first detection said'}"


def line(row: Row) -> str:
    mark = "" if row.ok else "   <- MISSED" if row.bug else "   <- FALSE ALARM"
    return (f"{row.bug or 'none':<22}{row.backend:<10}{f'{row.caught}/{row.seeds}':>8}  "
            f"{row.oracle[:100]}{mark}")


def as_json(rows: list[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"
