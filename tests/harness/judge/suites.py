"""The suites that a judged kernel runs: those of suites.toml, and what of Pteron's own runs on any Linux.

jobs() makes of them the file /job, which tests/user/judge/init.c reads."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..catalogue import ROOT

TABLE = Path(__file__).with_name("suites.toml")
_STRESS = re.compile(r'^STRESS_SUITE\((\w+),\s*"([\w-]+)",\s*"([^"]*)",([^;]*)\);', re.M)
TAGS = ("judge",)
TIMERS = "preempt"  # the program that runs beside others


@dataclass(frozen=True)
class Suite:
    """One program in some processes."""
    name: str
    what: str
    program: str
    processes: int = 1
    rounds: int = 100
    threads: int = 4
    pages: int = 0
    default: bool = True
    beside: bool = True

    @property
    def tags(self) -> tuple[str, ...]:
        return TAGS


def _of_pteron() -> dict[str, dict]:
    """Pteron's rows of tests/stress/suites.c: which programs, how many processes, pages and rounds."""
    text = (ROOT / "tests/stress/suites.c").read_text(encoding="utf-8")
    found = {}
    for program, name, what, fields in _STRESS.findall(text):
        numbers = {key: int(value) for key, value in re.findall(r"\.(processes|pages|rounds) = (\d+)", fields)}
        found[name] = {"what": what, "program": program, **numbers}
    return found


def all_suites() -> dict[str, Suite]:
    """By name, in the order of the table. Of Pteron's own, those that the table names."""
    table, known = tomllib.loads(TABLE.read_text(encoding="utf-8")), _of_pteron()
    return {name: Suite(name=name, **{"program": name, **known.get(name, {}), **fields}) for name, fields in table.items()}


def default_names() -> list[str]:
    return [s.name for s in all_suites().values() if s.default]


def _seed(seed: int, suite: str, index: int) -> int:
    """Of a process: its suite runs the same alone and among others."""
    text = f"{seed} {suite} {index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:6], "big")


def job(names: list[str], seed: int, rounds: int | None, cpus: int) -> str:
    """What /job says."""
    lines, known = [], all_suites()
    for name in names:
        s = known[name]
        lines.append(f"suite {name}")
        if s.beside:
            lines.append(f"beside {TIMERS} {_seed(seed, name, -1)} 0 {cpus} 0")
        lines.append(f"run {s.processes} {s.program} {_seed(seed, name, 0)} {rounds or s.rounds} {s.threads} {s.pages}")
    return "\n".join([*lines, ""])


def programs(names: list[str]) -> list[str]:
    """Which programs the suites @names need."""
    return sorted({all_suites()[name].program for name in names} | {TIMERS})
