"""./pteron survey: a matrix of kernels, platforms, suites and seeds, one run for each, and what became of them.

Each result is a file of its own in a folder, by a name that says all that decides the run. A survey that was interrupted,
or is asked for again with more seeds, makes only the runs whose files are missing. Results of another state of what
decides them (identity()) lie in another folder."""

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..catalogue import ROOT
from .engine import EngineError, Job, Place, run_jobs
from .kernels import PTERON
from .qemus import QEMU

FOLDER = ROOT / "build/survey"
# What decides a run beside its words: programs, and what boots and judges; of Pteron itself the kernel, too.
_DECIDE = ("tests/user", "tests/stress/suites.c", "tests/harness/judge/*.toml", "tests/harness/judge/boot.py", "tests/harness/judge/suites.py",
           "tests/harness/judge/verdicts.py", "tests/harness/machine.py")
_KERNEL = ("kernel", "mm", "pv", "drivers", "boot", "tests/unit", "tests/stress", "Makefile", "linker.ld")
NO_RESULT = ("unstarted", "interrupted", "usage")  # verdicts of runs that say nothing of the kernel


@dataclass(frozen=True)
class Platform:
    """Where a kernel runs, as the options of ./pteron run say it."""
    on: str = "qemu"
    xen: str = ""
    xen_append: str = ""
    qemu: str = QEMU
    cpus: int = 2

    @property
    def name(self) -> str:
        parts = [self.on + (f" {self.xen}" if self.xen else ""), self.xen_append, _emulator(self.qemu),
                 "" if self.cpus == 2 else f"{self.cpus} CPU{'s' * (self.cpus > 1)}"]
        return ", ".join(part for part in parts if part)

    def arguments(self) -> list[str]:
        words = ["--on", self.on, "--cpus", str(self.cpus)]
        for option, value in (("--xen", self.xen), ("--xen-append", self.xen_append), ("--qemu", self.qemu if self.qemu != QEMU else "")):
            words += [option, value] if value else []
        return words


def _emulator(name: str) -> str:
    """As a table has it."""
    return "" if name == QEMU else f"QEMU {name}" if name[0].isdigit() else Path(name).name


@dataclass(frozen=True)
class Cell:
    """One kernel on one platform; its runs differ in their seeds."""
    kernel: str
    platform: Platform


@dataclass(frozen=True)
class Plan:
    """What is asked for: every kernel on every platform, with every seed."""
    kernels: tuple[str, ...]
    platforms: tuple[Platform, ...]
    seeds: tuple[int, ...] = (1,)
    suite: str = "default"
    kernel_append: str = ""
    rounds: int | None = None  # of stress threads, if not each suite's own

    def cells(self) -> list[Cell]:
        return [Cell(kernel, platform) for kernel in self.kernels for platform in self.platforms]

    def job(self, cell: Cell, seed: int) -> Job:
        words = [*cell.platform.arguments(), "--suite", self.suite, "--seed", str(seed), "--deterministic"]
        words += ["--rounds", str(self.rounds)] if self.rounds else []
        if cell.kernel != PTERON:
            words = ["--kernel", cell.kernel, *words]
            words += ["--kernel-append", self.kernel_append] if self.kernel_append else []
        return Job(_key(words), tuple(words))


def _key(words: list[str]) -> str:
    """A file's name: what a person reads of it, and a hash of all."""
    plain = re.sub(r"[^\w.+-]+", "_", " ".join(word.removeprefix("--") for word in words))
    return f"{plain[:120]}-{hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]}"


def identity(of_pteron: bool) -> str:
    """A hash of what decides a run; the same on each host that has the same files."""
    return _hash_of(*_DECIDE, *(_KERNEL if of_pteron else ()))


def identity_of_tree() -> str:
    """The same of all that a run and its report are made of."""
    return _hash_of(*_KERNEL, "tests", "pteron")


def _hash_of(*files: str) -> str:
    """Of what git knows of @files."""
    listed = subprocess.run(["git", "ls-files", "-z", "--", *files], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = hashlib.sha256()
    for name in sorted(filter(None, listed.split("\0"))):
        path = ROOT / name
        found.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else 'gone'}\n".encode())
    return found.hexdigest()[:16]


class Store:
    """The results that are there."""

    def __init__(self, folder: Path, who: str):
        self.folder = folder / who
        self.folder.mkdir(parents=True, exist_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def has(self, key: str) -> bool:
        return self._path(key).exists()

    def get(self, key: str) -> dict | None:
        return json.loads(self._path(key).read_text(encoding="utf-8")) if self.has(key) else None

    def put(self, key: str, result: dict) -> None:
        """Whole or not at all."""
        part = self.folder / f".{key}.part"
        part.write_text(json.dumps(result), encoding="utf-8")
        part.rename(self._path(key))


@dataclass
class Progress:
    """How far a survey is."""
    total: int
    there: int  # results that were there before
    done: int = 0
    bad: int = 0
    began: float = field(default_factory=time.monotonic)

    def take(self, result: dict) -> None:
        self.done += 1
        self.bad += result["verdict"] != "passed"

    def left(self) -> float:
        """Seconds, if the runs to come take as long as those that were made."""
        return (time.monotonic() - self.began) / max(1, self.done) * (self.total - self.there - self.done)


class Survey:
    """A plan, and its results in a folder."""

    def __init__(self, plan: Plan, folder: Path, place: Place, say: Callable[[Progress, str, dict], None]):
        self.plan, self.place, self.say = plan, place, say
        self.who = identity(PTERON in plan.kernels)
        self.store = Store(folder, self.who)

    def results(self, cell: Cell) -> list[dict]:
        """Those of @cell's runs that were made, by seed."""
        found = (self.store.get(self.plan.job(cell, seed).key) for seed in self.plan.seeds)
        return [result for result in found if result]

    def _jobs(self, cells: list[Cell]) -> list[Job]:
        """The seeds first: so that each cell soon has some."""
        return [self.plan.job(cell, seed) for seed in self.plan.seeds for cell in cells]

    def make(self, cells: list[Cell]) -> None:
        """Make the runs of @cells that are missing."""
        jobs = self._jobs(cells)
        missing = [job for job in jobs if not self.store.has(job.key)]
        progress = Progress(len(jobs), len(jobs) - len(missing))
        nothing: list[dict] = []

        def take(key: str, result: dict) -> None:
            progress.take(result)
            if result["verdict"] in NO_RESULT:
                nothing.append(result)
            else:
                self.store.put(key, result)
            self.say(progress, key, result)
        if missing:
            run_jobs(missing, self.place, self.who, take)
        if nothing:
            raise EngineError(f"{len(nothing)} of {len(jobs)} runs did not start, the first: {' '.join(nothing[0]['why'][:2])}")


# --- the first bad version, and the first good one after it ---

@dataclass
class Bisection:
    """Where, among versions in order, what is wrong comes and goes."""
    versions: list[str]
    verdicts: dict[int, bool] = field(default_factory=dict)  # bad or not, of those that were tried

    def edges(self) -> list[tuple[str, str]]:
        """Neighbours of which one is bad and the other good: the older first."""
        return [(self.versions[i], self.versions[i + 1]) for i in range(len(self.versions) - 1)
                if i in self.verdicts and i + 1 in self.verdicts and self.verdicts[i] != self.verdicts[i + 1]]

    def next(self) -> int | None:
        """Which to try: an end; the middle between two that differ; else, until a bad one is known, that of the widest gap."""
        last = len(self.versions) - 1
        for end in (0, last):
            if end not in self.verdicts:
                return end
        tried = sorted(self.verdicts)
        gaps = [(a, b) for a, b in zip(tried, tried[1:]) if b - a > 1]
        differ = [(a, b) for a, b in gaps if self.verdicts[a] != self.verdicts[b]]
        if not differ and len(set(self.verdicts.values())) > 1:
            return None
        a, b = max(differ or gaps, key=lambda gap: gap[1] - gap[0], default=(0, 0))
        return (a + b) // 2 if b else None


def bisect(versions: list[str], is_bad: Callable[[str], bool]) -> Bisection:
    """Try as few of @versions as need be."""
    found = Bisection(versions)
    while (i := found.next()) is not None:
        found.verdicts[i] = is_bad(versions[i])
    return found
