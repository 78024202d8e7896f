"""./pteron bench --against KERNEL,...: the same static program on Pteron and on Linux, on the same machines.

Each side runs tests/user/bench in one QEMU after the other: with one vCPU under -icount shift=0, where
the program's ticks are instructions, the hypervisor's own included; Pteron once more with a meter, for
what no kernel can avoid; with two vCPUs for rates, of which only ratios mean anything; and a few times
more only for the wall time from reset to its first line."""

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from pathlib import Path

from . import dom0
from .bench import BenchError
from .build import Build, locked
from .catalogue import ROOT
from .judge import kernels, versions
from .judge.xens import machines
from .machine import FAST_XEN, Config, Linux
from .runner import run

PROGRAM = ROOT / "build/bench/bench"
ARCHIVE = ROOT / "build/bench/initramfs.cpio"
PLACES = {"qemu": "native", "xen": "Xen"}
MEMORY = 1536  # MiB: a GiB that is touched, and what a Linux needs itself
# Who has ERMS clears a page by `rep stosb`, if it is Linux 7.3, and TCG counts each byte as an instruction. Without it all
# kernels clear by `rep stosq`: 512 instructions.
CPU = "qemu64,-erms"
CPUS = 2
BOOTS = 3
# A whole group may pass without a word: the program keeps its lines until the group has ended.
PATIENCE = 600
COUNTED = ("counted", "metered")  # on one vCPU, and the same again each time; the second for Pteron's floor
PARALLEL = "scale"  # the group that needs several vCPUs
QUICKEST = "calls"  # ends a run that is made for its boot


BEST = "mitigations=off transparent_hugepage=never nokaslr init_on_alloc=0"
PTERON, LINUX_BEST, LINUX_DEFAULTS = KINDS = ("pteron", "linux-best", "linux-defaults")
_DEFAULTS = "-defaults"


@dataclass(frozen=True)
class Side:
    """A kernel to compare, as it is set. @name: of its figures. @against: what --against calls it."""
    name: str
    kind: str
    against: str
    kernel: kernels.Kernel | None = None  # None: it is Pteron

    @property
    def words(self) -> str:
        """Of Linux's command line."""
        return "" if self.kind == LINUX_DEFAULTS else BEST

    @property
    def xen(self) -> str:
        return "" if self.kind == LINUX_DEFAULTS else FAST_XEN


def title(side: str) -> str:
    """What a table calls the side of this name."""
    return side.replace(PTERON, "Pteron").replace("linux-", "Linux ").replace(_DEFAULTS, " defaults")


def is_reference(side: str) -> bool:
    """It is a Linux at its best: with the first of these Pteron is compared."""
    return side != PTERON and not side.endswith(_DEFAULTS)


def linux(name: str, say: Callable[[str], None] = lambda _: None) -> kernels.Kernel:
    """The kernel that --against @name means: as --kernel of ./pteron run, but for Pteron itself."""
    if name == kernels.PTERON:
        raise kernels.KernelError("--against pteron: give linux, linux-VERSION or a FILE")
    return kernels.get(name, say)


def sides(against: str, kinds: Container[str] = KINDS, say: Callable[[str], None] = lambda _: None) -> list[Side]:
    """Pteron, and each Linux of @against (several with commas) at its best; of the first also with its defaults."""
    found = [Side(PTERON, PTERON, against)] if PTERON in kinds else []
    for number, name in enumerate(against.split(",")):
        kernel = linux(name, say)
        of_linux = f"linux-{versions.upstream(kernel.version) if kernel.version else kernel.release}"
        if any(side.name == of_linux for side in found):
            raise kernels.KernelError(f"--against {against}: {of_linux} is there twice")
        if LINUX_BEST in kinds:
            found.append(Side(of_linux, LINUX_BEST, name, kernel))
        if LINUX_DEFAULTS in kinds and not number:
            found.append(Side(of_linux + _DEFAULTS, LINUX_DEFAULTS, name, kernel))
    return found


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
    mode: str  # counted, metered, parallel, boot
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


def _config(job: Run, side: Side, arguments: list[str]) -> Config:
    place, counted = job.place, job.mode in COUNTED
    cpus = CPUS if job.mode == "parallel" else 1
    config = Config(build=Build(debug=False, meter=job.mode == "metered"), on=place, cpus=cpus, mem=MEMORY, cpu=CPU,
                    backend="xen" if place == "xen" else "native", icount=0 if counted else None,
                    initrd=ARCHIVE, patience=PATIENCE)
    if side.kernel is None:
        config.program = ("/init", *arguments)
    else:
        console = "hvc0" if place == "xen" else "ttyS0"
        kernels.check(side.kernel, place)
        config.linux = Linux(kernel=side.kernel.image, xen=side.xen,
                             words=f"console={console} quiet {side.words} -- {' '.join(arguments)}")
    return config


def _arguments(mode: str, chosen: list[str], pages: int | None) -> list[str]:
    if mode in COUNTED:
        return [g for g in chosen if g != PARALLEL] + (["--pages", str(pages)] if pages else []) + ["--meter"] * (mode == "metered")
    return [QUICKEST] if mode == "boot" else [PARALLEL, "--cpus", str(CPUS)]


def _boot(job: Run, side: Side, chosen: list[str], pages: int | None) -> Run:
    """Make the run @job, or say how to repeat what failed."""
    arguments = _arguments(job.mode, chosen, pages)
    config = _config(job, side, arguments)
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
            f"{title(side.name)} on {PLACES[job.place]}, {job.mode}: the program did not end "
            f"as it should (QEMU's status {result.status}, verdict {result.verdict}); the last lines:\n"
            f"{tail}\nreplay: {replay(job, side, [g for g in arguments if g in groups()])}")
    return job


def replay(job: Run, side: Side, chosen: list[str]) -> str:
    """The command that makes this run, and those that belong to it."""
    return " ".join([f"./pteron bench --against {shlex.quote(side.against)}", f"--on {job.place}", f"--side {side.kind}",
                     *(f"--group {g}" for g in chosen)])


def plan(places: list[str], names: list[str], chosen: list[str], boots: int) -> list[Run]:
    """The runs that these choices need. The counted ones first: they take the longest."""
    modes = [*COUNTED] * (chosen != [PARALLEL]) + ["parallel"] * (PARALLEL in chosen) + ["boot"] * boots
    return [Run(name, place, mode) for mode in modes for place in places for name in names if mode != "metered" or name == PTERON]


def measure(places: list[str], compared: list[Side], chosen: list[str], boots: int = BOOTS,
            say: Callable[[str], None] = lambda _: None, pages: int | None = None) -> list[Run]:
    """One boot after the other. @pages: how many an operation touches at most."""
    make_program()
    by_name = {side.name: side for side in compared}
    runs = plan(places, list(by_name), chosen, boots)
    for build in {Build(debug=False, meter=job.mode == "metered") for job in runs if job.side == PTERON}:
        build.make()
    for number, job in enumerate(runs, 1):
        say(f"pteron: run {number} of {len(runs)}: {title(job.side)}, {PLACES[job.place]}, {job.mode}")
        start = time.monotonic()
        _boot(job, by_name[job.side], chosen, pages)
        say(f"pteron:   {len(job.figures)} figures in {time.monotonic() - start:.0f} s")
    return runs


def configuration(compared: list[Side]) -> dict[str, str]:
    """What the figures depend on; to be asked before they are taken."""
    releases = dict.fromkeys(side.kernel.release for side in compared if side.kernel)
    def first(*command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.partition("\n")[0]
    changed = first("git", "status", "--porcelain", "--untracked-files=no")
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": first("git", "rev-parse", "--short", "HEAD") + (" and changes" if changed else ""),
        "qemu": first("qemu-system-x86_64", "--version"),
        "linux": ", ".join(releases),
        "linux_best": BEST,
        "xen": machines().image.name.removesuffix(".gz"),
        "compiler": first("gcc", "--version"),
        "counted": f"1 vCPU, {CPU}, {MEMORY} MiB, TCG, -icount shift=0: ticks are instructions",
        "parallel": f"{CPUS} vCPUs, TCG, thread=multi: ratios only",
    }
