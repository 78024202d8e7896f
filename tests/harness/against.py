"""./pteron bench --against KERNEL: the same static program on Pteron and on a Linux, on the same machines.

Each side runs tests/user/bench in one QEMU after the other: with one vCPU under -icount shift=0, where
the program's ticks are instructions, the hypervisor's own included; with two vCPUs for rates, of which
only ratios mean anything; and a few times more only for the wall time from reset to its first line."""

import re
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import dom0
from .bench import BenchError
from .build import Build, locked
from .catalogue import ROOT
from .judge import kernels
from .judge.xens import machines
from .machine import Config, Linux
from .runner import run

PROGRAM = ROOT / "build/bench/bench"
ARCHIVE = ROOT / "build/bench/initramfs.cpio"
PLACES = {"qemu": "native", "xen": "Xen"}
MEMORY = 1024  # MiB; with less than 512 for itself a Linux has no huge pages by default
CPUS = 2
BOOTS = 3
# A whole group may pass without a word: the program keeps its lines until the group has ended.
PATIENCE = 600
PARALLEL = "scale"  # the group that needs several vCPUs
QUICKEST = "calls"  # ends a run that is made for its boot


@dataclass(frozen=True)
class Side:
    """A kernel to compare. @words: of Linux's command line; None: it is Pteron."""
    title: str
    words: str | None = None
    xen: str = "xpti=no spec-ctrl=no"


BEST = "mitigations=off transparent_hugepage=never nokaslr init_on_alloc=0"
SIDES = {
    "pteron": Side("Pteron"),
    "linux-best": Side("Linux best", BEST),
    "linux-defaults": Side("Linux defaults", "", ""),
}


def linux(name: str, say: Callable[[str], None] = lambda _: None) -> kernels.Kernel:
    """The kernel that --against @name means: as --kernel of ./pteron run, but for Pteron itself."""
    if name == kernels.PTERON:
        raise kernels.KernelError("--against pteron: give linux, linux-VERSION or a FILE")
    return kernels.get(name, say)


@dataclass(frozen=True)
class Key:
    """What a figure is of: an operation, how many pages are touched, and where or by how many."""
    name: str
    pages: int = 0
    where: str = ""   # layout
    mapped: int = 0   # pages, of the sweep
    threads: int = 0


@dataclass
class Run:
    """One boot: what it was, what its program said, and seconds from its start to the first line."""
    side: str
    place: str
    mode: str  # counted, parallel, boot
    figures: dict[Key, dict[str, int]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    seconds: float = 0.0


def groups() -> list[str]:
    """Every group that the program's table names."""
    text = (ROOT / "tests/user/bench/main.c").read_text()
    return re.findall(r'\{"(\w+)", \w+\}', text[text.index("groups[]"):])


def parse(lines: list[str]) -> dict[Key, dict[str, int]]:
    """The program's figures: bench NAME key=value ..."""
    figures = {}
    for line in lines:
        name, *words = line.removeprefix("bench ").split()
        if not line.startswith("bench ") or not all("=" in w for w in words) or not words:
            continue
        values = dict(w.split("=") for w in words)
        key = Key(name, int(values.pop("pages", 0)), values.pop("layout", ""),
                  int(values.pop("mapped", 0)), int(values.pop("threads", 0)))
        values.pop("per_page", None)  # follows from ticks and pages
        figures[key] = {k: int(v) for k, v in values.items()}
    return figures


def make_program() -> None:
    """The program, and an archive that holds it as /init, for either kernel."""
    Build(debug=False).make("bench-program")
    with locked(PROGRAM.parent.with_name(".bench.lock")):
        if not ARCHIVE.exists() or ARCHIVE.stat().st_mtime <= PROGRAM.stat().st_mtime:
            _pack()


def _pack() -> None:
    tree = PROGRAM.parent / "tree"
    tree.mkdir(exist_ok=True)
    (tree / "init").write_bytes(PROGRAM.read_bytes())
    (tree / "init").chmod(0o755)
    ARCHIVE.write_bytes(dom0.cpio(tree))


def _config(job: Run, against: str, arguments: list[str]) -> Config:
    side, place, counted = SIDES[job.side], job.place, job.mode == "counted"
    cpus = CPUS if job.mode == "parallel" else 1
    config = Config(build=Build(debug=False), on=place, cpus=cpus, mem=MEMORY, cpu="qemu64",
                    backend="xen" if place == "xen" else "native", icount=0 if counted else None,
                    initrd=ARCHIVE, patience=PATIENCE)
    if side.words is None:
        config.program = ("/init", *arguments)
    else:
        console = "hvc0" if place == "xen" else "ttyS0"
        kernel = linux(against)
        kernels.check(kernel, place)
        config.linux = Linux(kernel=kernel.image, xen=side.xen,
                             words=f"console={console} quiet {side.words} -- {' '.join(arguments)}")
    return config


def _arguments(mode: str, chosen: list[str]) -> list[str]:
    if mode == "counted":
        return [g for g in chosen if g != PARALLEL]
    return [QUICKEST] if mode == "boot" else [PARALLEL, "--cpus", str(CPUS)]


def _boot(job: Run, against: str, chosen: list[str]) -> Run:
    """Make the run @job, or say how to repeat what failed."""
    arguments = _arguments(job.mode, chosen)
    config = _config(job, against, arguments)
    start = time.monotonic()

    def watch(line: str, _) -> None:
        if line.startswith("bench ") and not job.seconds:
            job.seconds = time.monotonic() - start

    result = run(config, watch)
    # The consoles of a Linux on Xen end a line with two carriage returns, of which the harness takes off one.
    job.lines = [line.rstrip("\r") for line in result.output.lines if line.startswith("bench ")]
    job.figures = parse(job.lines)
    ended = result.verdict != "hung" if config.linux else result.verdict == "passed"
    if "bench done" not in job.lines or not ended:
        tail = "\n".join(result.output.lines[-20:])
        raise BenchError(
            f"{SIDES[job.side].title} on {PLACES[job.place]}, {job.mode}: the program did not end "
            f"as it should (QEMU's status {result.status}, verdict {result.verdict}); the last lines:\n"
            f"{tail}\nreplay: {replay(job, against, [g for g in arguments if g in groups()])}")
    return job


def replay(job: Run, against: str, chosen: list[str]) -> str:
    """The command that makes this run, and those that belong to it."""
    return " ".join([f"./pteron bench --against {shlex.quote(against)}", f"--on {job.place}", f"--side {job.side}",
                     *(f"--group {g}" for g in chosen)])


def plan(places: list[str], sides: list[str], chosen: list[str], boots: int) -> list[Run]:
    """The runs that these choices need. The counted ones first: they take the longest."""
    modes = ["counted"] * (chosen != [PARALLEL]) + ["parallel"] * (PARALLEL in chosen) + ["boot"] * boots
    return [Run(side, place, mode) for mode in modes for place in places for side in sides]


def measure(places: list[str], sides: list[str], chosen: list[str], boots: int = BOOTS,
            say: Callable[[str], None] = lambda _: None, against: str = "linux") -> list[Run]:
    """One boot after the other. @against: the Linux."""
    make_program()
    if "pteron" in sides:
        Build(debug=False).make()
    runs = plan(places, sides, chosen, boots)
    for number, job in enumerate(runs, 1):
        say(f"pteron: run {number} of {len(runs)}: {SIDES[job.side].title}, {PLACES[job.place]}, {job.mode}")
        start = time.monotonic()
        _boot(job, against, chosen)
        say(f"pteron:   {len(job.figures)} figures in {time.monotonic() - start:.0f} s")
    return runs


def configuration(against: str) -> dict[str, str]:
    """What the figures depend on; to be asked before they are taken."""
    def first(*command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.partition("\n")[0]
    changed = first("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": first("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else ""),
        "qemu": first("qemu-system-x86_64", "--version"),
        "linux": linux(against).release,
        "linux_best": BEST,
        "xen": machines().image.name.removesuffix(".gz"),
        "compiler": first("gcc", "--version"),
        "counted": f"1 vCPU, qemu64, {MEMORY} MiB, TCG, -icount shift=0: ticks are instructions",
        "parallel": f"{CPUS} vCPUs, TCG, thread=multi: ratios only",
    }
