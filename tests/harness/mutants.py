"""./pteron mutants: every seeded bug, on its backends, over a number of seeds: is it caught, by what?

A run without a bug, over the same suites and seeds, must catch nothing; and the first catch of each row
must replay to the same bytes. Rows are examined side by side, on this machine or on hosts, by the judge's engine: instructions
are the clock, so that what else the machine does changes nothing."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import zip_longest

from . import catalogue
from .build import Build, BuildError
from .judge import qemus, versions
from .judge.engine import Job, Place, run_jobs
from .judge.survey import identity_of_tree
from .machine import Config
from .runner import Result, run
from .tree import build_of

SHIFT = 4  # -icount: every run can be repeated exactly
CPUS = 4
ROUNDS = 8
# A fault loop or a lost wake-up shows as silence; these runs say something every second or two.
PATIENCE = 60
NAME_WIDTH = 2 + max(len(bug.name) for bug in catalogue.bugs())
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
    replays: int = 0   # of the first detection, that were asked for
    identical: int = 0
    differs: str = ""  # where the first replay that was another parts from the first run

    @property
    def ok(self) -> bool:
        """Caught in at least 19 of 20 seeds, and each replay the same; a control, in none."""
        if not self.bug:
            return self.caught == 0
        return self.caught * 20 >= self.seeds * 19 and self.identical == self.replays


def _config(build: Build, backend: str, suites: str, seed: int, bug: str) -> Config:
    on, name = SETTINGS[backend]
    return Config(build=build, on=on, backend=name, cpus=CPUS, mem=128, suite=suites, seed=seed, bug=bug,
                  icount=SHIFT, rounds=ROUNDS)


def oracle(result: Result) -> str:
    """The line that says what was noticed: of a hang, who waits for what; else a panic, what a suite's program says, a case that failed."""
    said = result.output
    if result.verdict == "hung":
        return f"hung: {said.blocked or 'no task is blocked'}"
    found = [m[1] for lines, pattern in ((said.kernel_lines, r"# panic: (.*)"), (said.program_lines, r"\s*# FAIL (.*)"),
                                         (said.kernel_lines, r"    # (tests/.*)"))
             for line in lines if (m := re.match(pattern, line))]
    return found[0] if found else result.verdict


def complaint(error: BuildError) -> str:
    """What the compiler said first, or the first host test that failed."""
    lines = str(error).strip().splitlines()
    return next((text for text in lines if "error:" in text or text.startswith("not ok")), lines[0])


def _run(config: Config) -> Result:
    """An interrupted run is no catch."""
    result = run(config, patience=PATIENCE)
    if result.verdict == "interrupted":
        raise KeyboardInterrupt
    return result


def examine(bug: catalogue.Bug | None, backend: str, suites: str, seeds: list[int], replays: int) -> Row:
    """Run @bug (None: no bug) with each seed; the first detection @replays times more."""
    row = Row(bug.name if bug else "", backend, suites, 0, len(seeds), "", 0, "")
    build = build_of(bug)
    try:
        build.make()
    except BuildError as error:
        if not bug:
            raise
        row.oracle = f"not built: {complaint(error)}"
        return row
    first = None
    for seed in seeds:
        result = _run(_config(build, backend, suites, seed, row.bug))
        if result.verdict == "passed":
            continue
        row.caught += 1
        first = first or result
    if first:
        row.oracle = oracle(first)
        row.page_faults = first.output.counters.get("page_faults", 0)
        row.replay = first.config.replay()
        if backend != "xl":  # where a Linux runs too, with a clock of its own
            row.replays = replays
        _replay(row, first)
    return row


def _replay(row: Row, first: Result) -> None:
    """Repeat @first, and compare line by line."""
    for _ in range(row.replays):
        again = _run(first.config).output.lines
        if again == first.output.lines:
            row.identical += 1
        elif not row.differs:
            row.differs = first_difference(first.output.lines, again)


def first_difference(one: list[str], other: list[str]) -> str:
    """Where two outputs part, in words; what explains why."""
    for number, (a, b) in enumerate(zip_longest(one, other, fillvalue="(nothing)"), 1):
        if a != b:
            return f"line {number}: {a!r}, then {b!r}"
    return ""


def unseen(bug: catalogue.Bug) -> str:
    """Why this machine's QEMU cannot show @bug; empty if it can."""
    if not bug.below_qemu:
        return ""
    found = re.search(r"version (\d+\.\d+)", qemus.here())
    newer = found and versions.compare(found[1], bug.below_qemu) >= 0
    return f"{bug.name}: QEMU {found[1]} does not do what shows it, one below {bug.below_qemu} does" if newer else ""


def _wanted(only: list[str]) -> Iterator[tuple[catalogue.Bug | None, str, str]]:
    """The rows: each bug of @only (all, if empty) on its backends, then the controls."""
    controls: dict[str, set[str]] = {backend: set() for backend in SETTINGS}
    for bug in catalogue.bugs():
        if (only and bug.name not in only) or unseen(bug):
            continue
        for backend in bug.backends:
            controls[backend].update(bug.suites.split(","))
            yield bug, backend, bug.suites
    for backend, suites in controls.items():
        for suite in sorted(suites):
            yield None, backend, suite


def table(seeds: list[int], only: list[str], replays: int, place: Place, say: Callable[[str], None]) -> list[Row]:
    """Every bug of @only (all, if empty), then the controls; a line each, in this order, as soon as those before it are there.
    Those that this machine cannot show are named first."""
    for why in filter(None, map(unseen, catalogue.bugs())):
        say(why)
    build_of(None).make()  # where that fails, no worker needs to try
    jobs = [Job(str(number), (bug.name if bug else "", backend, suites, seeds, replays), "mutant")
            for number, (bug, backend, suites) in enumerate(_wanted(only))]
    rows: list[Row] = []
    ahead: dict[str, Row] = {}

    def take(key: str, result: dict) -> None:
        ahead[key] = Row(**result)
        while row := ahead.pop(str(len(rows)), None):
            rows.append(row)
            say(line(row))
    run_jobs(jobs, place, identity_of_tree(), take)
    return rows


def heading() -> str:
    return f"{'bug':<{NAME_WIDTH}}{'backend':<10}{'caught':>8}{'replays':>9}{'faults':>10}  what the first detection said"


def line(row: Row) -> str:
    mark = "" if row.ok else "   <- MISSED" if row.bug else "   <- FALSE ALARM"
    if row.identical != row.replays:
        mark += f"   <- REPLAYS DIFFER: {row.differs}"
    replays = f"{row.identical}/{row.replays}" if row.replays else "-"
    faults = f"{row.page_faults:,}" if row.caught else "-"
    return (f"{row.bug or 'none':<{NAME_WIDTH}}{row.backend:<10}{f'{row.caught}/{row.seeds}':>8}{replays:>9}{faults:>10}  "
            f"{row.oracle[:100] if row.bug else row.suites}{mark}")


def as_json(rows: list[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"
