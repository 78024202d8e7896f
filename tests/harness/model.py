"""./pteron model: spin visits every state of the models of the kernel, then looks for each bug that they can have.

The tables in a model's header say which configurations and bugs there are. A search without a bug is
exhaustive: no hashing that loses states, no reduction. One for a bug tries short runs first."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import catalogue
from .build import run_checked
from .catalogue import ROOT

MODELS = [ROOT / "mm/lazy/lazy_mmu.pml", ROOT / "mm/vma/vma_lock.pml", ROOT / "kernel/sync/sleep.pml"]
SEEDED_MODEL = MODELS[0]  # its bugs are files of tests/bugs, too
MEMORY_MIB = 2000
DEPTH = 2_000_000  # more steps than any run that visits no state twice
BUG_DEPTHS = (120, 200, 400, DEPTH)
# REVERSE: tasks go on before schedulers interfere, which makes counter-examples short.
PAN = ["-w", "-DSAFETY", "-DREVERSE", "-DNOREDUCE", f"-DMEMLIM={MEMORY_MIB}"]

_CONFIGURATION = re.compile(r"^ \*\t-DCONFIG_([A-Z_]+) ", re.M)
_BUG = re.compile(r"^ \*\t([a-z-]+) +([A-Z_]+)$", re.M)
_BUG_IN_CODE = re.compile(r"^#(?:if|elif).*", re.M)
_BUG_NAME = re.compile(r"\bBUG_([A-Z_]+)")


class ModelError(Exception):
    """The model's tables and code, or the kernel's bugs, do not agree; or a search broke off."""


@dataclass
class Search:
    """What became of one search. With a bug, a counter-example is what is wanted."""
    configuration: str
    bug: str
    states: int
    steps: int    # of the counter-example
    broken: str   # by it: a line of the model, or what spin says; "": nothing
    directory: Path

    @property
    def ok(self) -> bool:
        return bool(self.broken) == bool(self.bug)


def configurations() -> list[str]:
    return [name for model in MODELS for name in _CONFIGURATION.findall(model.read_text())]


def model_of(configuration: str) -> Path:
    return next(model for model in MODELS if configuration in _CONFIGURATION.findall(model.read_text()))


def bugs() -> dict[str, str]:
    """The configuration that each bug shows in."""
    return dict(bug for model in MODELS for bug in _BUG.findall(model.read_text()))


def _bugs_in_code(model: Path) -> set[str]:
    lines = _BUG_IN_CODE.findall(model.read_text())
    return {name.lower().replace("_", "-") for line in lines for name in _BUG_NAME.findall(line)}


def check_tables() -> None:
    """Each bug of a table is in that model's code, each of the code in the table; the seeded ones the kernel has too."""
    kernel, table = {bug.name for bug in catalogue.bugs()}, bugs()
    for model in MODELS:
        own = {bug for bug, name in table.items() if name in _CONFIGURATION.findall(model.read_text())}
        seeded = own if model == SEEDED_MODEL else set()
        for what, names in (("not in tests/bugs", seeded - kernel),
                            ("in the model's table or in its code, and not in both", own ^ _bugs_in_code(model))):
            if names:
                raise ModelError(f"{model.name}: bugs {what}: {', '.join(sorted(names))}")
    if lost := {bug for bug, name in table.items() if name not in configurations()}:
        raise ModelError(f"bugs of a configuration that there is not: {', '.join(sorted(lost))}")


def _definitions(configuration: str, bug: str) -> list[str]:
    return [f"-DCONFIG_{configuration}"] + ([f"-DBUG_{bug.upper().replace('-', '_')}"] if bug else [])


def _explain(search: Search, verdict: str) -> str:
    """Write the counter-example out; the line of the model that it breaks."""
    model = model_of(search.configuration)
    replay = run_checked("spin", *_definitions(search.configuration, search.bug), "-t", "-p", "-g", "-k",
                         f"{model.name}.trail", str(model), cwd=search.directory)
    (search.directory / "counter-example").write_text(replay)
    if m := re.search(r":(\d+), Error: assertion violated", replay):
        return f"{model.name}:{m[1]}: " + model.read_text().splitlines()[int(m[1]) - 1].strip(" \t;")
    return verdict


def search(configuration: str, bug: str = "") -> Search:
    """Visit every state of @configuration; with @bug, until one breaks a property."""
    directory = ROOT / "build/model" / "-".join(filter(None, (configuration.lower(), bug)))
    directory.mkdir(parents=True, exist_ok=True)
    run_checked("spin", *_definitions(configuration, bug), "-a", str(model_of(configuration)), cwd=directory)
    run_checked("gcc", "-O0" if bug else "-O2", *PAN, "-o", "pan", "pan.c", cwd=directory)
    for depth in BUG_DEPTHS if bug else (DEPTH,):
        out = subprocess.run(["./pan", f"-m{depth}"], cwd=directory, capture_output=True, text=True,
                             check=False).stdout
        done = re.search(r"errors: (\d+)\s+(\d+) states, stored", out)
        broke_off = "Search not completed" in out or "max search depth too small" in out
        if not done or (not bug and done[1] == "0" and broke_off):
            raise ModelError(f"{configuration}: the search broke off:\n{out[:2000]}")
        result = Search(configuration, bug, int(done[2]), 0, "", directory)
        if m := re.search(r"^pan:1: (.*) \(at depth (\d+)\)", out, re.M):
            result.steps = int(m[2])
            result.broken = _explain(result, m[1])
            break
    return result


def searches(only: list[str]) -> Iterator[Search]:
    """Every configuration, then every bug; or the bugs of @only."""
    check_tables()
    for configuration in [] if only else configurations():
        yield search(configuration)
    for bug, configuration in bugs().items():
        if not only or bug in only:
            yield search(configuration, bug)


def heading() -> str:
    return f"{'bug':<27}{'configuration':<15}{'states':>10}{'steps':>7}  what is broken"


def line(result: Search) -> str:
    mark = "" if result.ok else "   <- MISSED" if result.bug else "   <- THE PROTOCOL IS WRONG"
    return (f"{result.bug or 'none':<27}{result.configuration:<15}{result.states:>10,}"
            f"{result.steps or '':>7}  {result.broken or 'nothing'}{mark}")
