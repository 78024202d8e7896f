"""./pteron operators: builds and runs each operator mutant in a copy of the tree, stage by stage, until
something notices it.

Every run is deterministic: a survivor survives again. Mutants that no run can tell from the original
stand in tests/operators-equivalent.txt, each with the reason; of some the compiler itself makes the same code."""

import json
import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import SimpleQueue

from . import catalogue
from .build import Build, BuildError
from .catalogue import ROOT
from .ktap import Output
from .machine import Config
from .mutants import complaint, oracle
from .operators import Mutant, of_file, targets
from .runner import Result, run
from .tree import Tree

EQUIVALENTS = ROOT / "tests/operators-equivalent.txt"
SHIFT = 4
ROUNDS = 4
# Seconds: of silence, and of a whole run. A stage takes some ten, on a loaded host a few times that, and a host that
# is slow must not kill a mutant: silence counts only while QEMU has a CPU (runner.py), and _limit() follows the load.
PATIENCE = 40
LIMIT = 240
OUTCOMES = ["killed", "refused", "same code", "equivalent", "survived"]


class OperatorsError(Exception):
    """The mutants cannot be judged; the text says why."""


@dataclass(frozen=True)
class Stage:
    """Suites that each mutant must pass to survive."""
    name: str
    backend: str
    cpus: int
    folder: str
    rounds: int | None = None
    on: str = "qemu"
    boot: str = "pvh"
    append: str = ""

    def config(self, build: Build) -> Config:
        suites = [s.name for s in catalogue.suites() if s.default and s.folder == self.folder]
        return Config(build=build, on=self.on, backend=self.backend, cpus=self.cpus, mem=128, suite=",".join(suites),
                      rounds=self.rounds, icount=SHIFT, boot=self.boot, append=self.append)


@cache
def programs() -> Path:
    """The archive of the programs that need a C library, of this tree: no mutant changes them."""
    build = Build()
    build.make("musl")
    return build.musl.with_name("musl.cpio")


@dataclass(frozen=True)
class Answers(Stage):
    """A program that compares each answer of a call with Linux's, and ends with status 0 if all are the same."""

    def config(self, build: Build) -> Config:
        return Config(build=build, backend=self.backend, cpus=self.cpus, icount=SHIFT, initrd=programs(),
                      program=(f"/bin/{self.folder}",))


UNIT = Stage("unit", "deferred", 2, "unit")
STRESS = Stage("stress", "deferred", 4, "stress", ROUNDS)
NATIVE = [Stage("unit on native", "native", 2, "unit"), Stage("stress on native", "native", 4, "stress", ROUNDS)]
SHADOW = [Stage("unit on shadow", "shadow", 2, "unit"), Stage("stress on shadow", "shadow", 4, "stress", ROUNDS)]
XEN = [Stage("unit on Xen", "xen", 2, "unit", on="xen"), Stage("stress on Xen", "xen", 4, "stress", ROUNDS, on="xen")]
PTWR = [Stage("unit on ptwr", "ptwr", 2, "unit", on="xen"), Stage("stress on ptwr", "ptwr", 4, "stress", ROUNDS, on="xen")]
GRUB = Stage("unit by GRUB", "native", 2, "unit", boot="bios")
UEFI = Stage("unit by UEFI", "native", 2, "unit", boot="uefi")
OLD_CPU = Stage("stress on an old CPU", "native", 4, "stress", ROUNDS, append="disable=fsgsbase,smap,pcid")
ANSWERS = [Answers(f"answers of {calls}", "deferred", 2, f"answers_{calls}") for calls in ("mm", "process")]

# By how a file's path begins, the first that fits: the stages that run its code.
PLANS = [("pv/xen/ptwr", PTWR),
         ("pv/xen/cpu", [*XEN, PTWR[0]]),
         ("pv/xen/", XEN),
         ("pv/soft/shadow", SHADOW),
         ("pv/soft/", [UNIT, STRESS, *SHADOW]),
         ("pv/native", [*NATIVE, OLD_CPU]),
         ("kernel/param/", [NATIVE[0], GRUB]),
         ("boot/multiboot2", [GRUB, UEFI]),
         ("boot/pvh", [NATIVE[0]]),
         ("boot/xen", XEN),
         ("", [UNIT, STRESS, *ANSWERS, *NATIVE, SHADOW[0], XEN[0]])]


def plan(file: str) -> list[Stage]:
    """The stages for mutants of @file."""
    return next(stages for prefix, stages in PLANS if file.startswith(prefix))


@dataclass
class Row:
    """What became of one mutant."""
    number: int
    file: str
    mutant: str
    outcome: str
    by: str = ""      # the stage and the suite that killed it
    said: str = ""    # what was noticed; of an equivalent one, the reason
    seconds: float = 0


def host_tested() -> set[str]:
    """The sources that `make host-test` runs too."""
    names = re.search(r"^HOST_SRC := (.*)$", (ROOT / "tests/check.mk").read_text(), re.M)
    return set(names[1].split()) if names else set()


class _Noticed(Exception):
    """A suite has failed: what the others say costs only time."""


def _limit() -> float:
    """Seconds for a whole run, on this host as it is now."""
    return LIMIT * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _run(stage: Stage, build: Build) -> Result:
    config, end, output = stage.config(build), time.monotonic() + _limit(), Output()

    def look(line: str, so_far: Output) -> None:
        nonlocal output
        output = so_far
        if line.startswith("not ok "):
            raise _Noticed
        if time.monotonic() > end:
            raise TimeoutError  # as silence does

    try:
        return run(config, look, PATIENCE)
    except _Noticed:
        return Result(config, output, "failed", 0)


def _suite(result: Result) -> str:
    return next((s.name for s in result.output.suites if s.verdict != "passed"), "boot")


def _judge(tree: Tree, file: str, stages: list[Stage]) -> tuple[str, str, str]:
    """The outcome of the tree as it is now, who noticed, and what it said."""
    try:
        tree.build.make()
    except BuildError as error:
        return "refused", tree.build.cc, complaint(error)
    if tree.is_unchanged():
        return "same code", tree.build.cc, ""
    try:
        tree.analyse(file)
    except BuildError as error:
        by_rule = "-Wthread-safety" in str(error)
        return ("killed", "thread safety", complaint(error)) if by_rule else ("refused", "clang", complaint(error))
    if file in host_tested():
        try:
            tree.build.make("host-test")
        except BuildError as error:
            return "killed", "host tests", complaint(error)
    for stage in stages:
        result = _run(stage, tree.build)
        if result.verdict != "passed":
            return "killed", f"{stage.name}: {_suite(result)}", oracle(result)
    return "survived", "", ""


def examine(tree: Tree, number: int, mutant: Mutant, stages: list[Stage] | None = None) -> Row:
    """Build and run one mutant, by default through its file's plan; the tree is as before afterwards."""
    source, begin = (ROOT / mutant.file).read_text(), time.monotonic()
    tree.change(mutant.file, mutant.applied(source))
    try:
        outcome, by, said = _judge(tree, mutant.file, stages or plan(mutant.file))
    finally:
        tree.change(mutant.file, source)
    return Row(number, mutant.file, mutant.identity, outcome, by, said, round(time.monotonic() - begin, 1))


def equivalents(text: str, mutants: Iterable[Mutant]) -> dict[str, str]:
    """The reasons, by identity: a line `identity -- reason` each. What matches no mutant is stale."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    known = dict(line.split(" -- ", 1) if " -- " in line else (line, "") for line in lines)
    identities = {m.identity for m in mutants}
    for identity, reason in known.items():
        if identity not in identities:
            raise OperatorsError(f"{EQUIVALENTS.name}: there is no such mutant any more: {identity}")
        if not reason:
            raise OperatorsError(f"{EQUIVALENTS.name}: without a reason: {identity}")
    return known


def _sampled(numbered: list[tuple[int, Mutant]], of: Callable[[str], str], n: int | None,
             seed: int) -> list[tuple[int, Mutant]]:
    """Not more than @n of those that have the same @of(file); all without @n."""
    groups: dict[str, list[tuple[int, Mutant]]] = {}
    for number, mutant in numbered:
        groups.setdefault(of(mutant.file), []).append((number, mutant))
    chosen = []
    for name, group in groups.items():
        if n is not None and n < len(group):
            group = sorted(random.Random(f"{seed} {name}").sample(group, n), key=lambda nm: nm[0])
        chosen += group
    return chosen


def folder_of(file: str) -> str:
    return file.rpartition("/")[0]


def choose(mutants: list[Mutant], files: list[str], only: list[int], sample: int | None, seed: int,
           per_folder: int | None = None) -> list[tuple[int, Mutant]]:
    """Number and mutant; of each file not more than @sample, of each folder not more than @per_folder."""
    numbered = [(n, m) for n, m in enumerate(mutants, 1) if not only or n in only]
    of_files = [(n, m) for file in files or targets() for n, m in numbered if m.file == file]
    return _sampled(_sampled(of_files, str, sample, seed), folder_of, per_folder, seed)


def _baseline(tree: Tree, stages: list[Stage], say: Callable[[str], None]) -> None:
    for stage in stages:
        begin = time.monotonic()
        result = _run(stage, tree.build)
        if result.verdict != "passed":
            raise OperatorsError(f"without a mutant {stage.name} says: {_suite(result)}: {oracle(result)}")
        say(f"without a mutant {stage.name} passes in {time.monotonic() - begin:.1f} s")


def table(files: list[str], only: list[int], sample: int | None, seed: int, jobs: int,
          say: Callable[[str], None], per_folder: int | None = None) -> list[Row]:
    """Every chosen mutant, a line each as it comes; @jobs at a time, each in a tree of its own."""
    mutants = [m for file in targets() for m in of_file(file)]
    reasons = equivalents(EQUIVALENTS.read_text(), mutants)
    chosen = choose(mutants, files, only, sample, seed, per_folder)
    trees: SimpleQueue[Tree] = SimpleQueue()
    for i in range(jobs):
        trees.put(Tree(ROOT / f"build/operators/{i}"))
    tree = trees.get()
    _baseline(tree, list(dict.fromkeys(stage for _, m in chosen for stage in plan(m.file))), say)
    trees.put(tree)
    done = 0

    def one(numbered: tuple[int, Mutant]) -> Row:
        nonlocal done
        number, mutant = numbered
        if reason := reasons.get(mutant.identity):
            row = Row(number, mutant.file, mutant.identity, "equivalent", "", reason)
        else:
            own = trees.get()
            row = examine(own, number, mutant)
            trees.put(own)
        with lock:
            done += 1
            say(f"{done}/{len(chosen)} {line(row)}")
        return row

    lock = threading.Lock()
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, chosen))


def line(row: Row) -> str:
    why = ": ".join(part for part in (row.by, row.said[:120]) if part)
    return f"#{row.number} {row.outcome:<10} {row.mutant}{'  <- ' + why if why else ''}"


def _counts(name: str, rows: list[Row]) -> str:
    outcomes = [row.outcome for row in rows]
    return f"{name:<24}{len(rows):>8}" + "".join(f"{outcomes.count(o):>12}" for o in OUTCOMES)


def summary(rows: list[Row]) -> str:
    """Per file and per folder how many there were, and who killed them."""
    head = f"{'mutants':>8}" + "".join(f"{o:>12}" for o in OUTCOMES)
    lines = [f"{'file':<24}" + head]
    lines += [_counts(file, [r for r in rows if r.file == file]) for file in dict.fromkeys(r.file for r in rows)]
    lines += ["", f"{'folder':<24}" + head]
    for folder in dict.fromkeys(folder_of(r.file) for r in rows):
        lines.append(_counts(folder, [r for r in rows if folder_of(r.file) == folder]))
    killers = [r.by for r in rows if r.outcome == "killed"]
    lines += [_counts("all", rows), "", "killed by"]
    lines += [f"{killers.count(by):>6}  {by}" for by in sorted(set(killers), key=lambda b: (-killers.count(b), b))]
    return "\n".join(lines)


def as_json(rows: list[Row]) -> str:
    return json.dumps([asdict(row) for row in rows], indent=2) + "\n"
